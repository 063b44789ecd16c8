//! Networks from TOML and back.

use super::{Activation, Layer, Network, NetworkBuilder, Padding, Pair, Shape};
use crate::ModelError;
use crate::data::ImageShape;
use crate::init::Init;
use crate::section::Section;
use toml::{Table, Value};

impl Network {
    /// Reads the `[network]` table.
    pub(crate) fn from_section(mut section: Section) -> Result<Self, ModelError> {
        let Some([height, width, channels]) = section.wholes::<3>("input", 1)? else {
            return Err(section.missing("input", "; expected input = [rows, columns, channels]"));
        };
        let layers = section.sections("layers")?;
        let place = section.place().to_owned();
        section.finish()?;
        if layers.is_empty() {
            return Err(ModelError::config(place, "`layers` is missing; expected [[network.layers]] tables"));
        }
        let mut builder = Self::builder(ImageShape { height, width, channels });
        for layer in layers {
            builder = read_layer(builder, layer)?;
        }
        builder.build()
    }

    /// The `[network]` table that gives this network again.
    pub(crate) fn to_table(&self) -> Table {
        let ImageShape { height, width, channels } = self.input;
        let mut table = Table::new();
        table.insert("input".into(), list([height, width, channels]));
        let layers = self.nodes.iter().map(|node| {
            let mut layer = write_layer(&node.layer);
            layer.insert("name".into(), node.name.as_str().into());
            let names = node.inputs.iter().map(|&id| match id.checked_sub(1) {
                Some(node) => Value::from(self.nodes[node].name.as_str()),
                None => Value::from("input"),
            });
            layer.insert("inputs".into(), Value::Array(names.collect()));
            Value::Table(layer)
        });
        table.insert("layers".into(), Value::Array(layers.collect()));
        table
    }

    /// The shape as a table for messages about data that does not fit.
    pub(crate) fn input_shape(&self) -> Shape {
        Shape::Image(self.input)
    }
}

fn read_layer(builder: NetworkBuilder, mut section: Section) -> Result<NetworkBuilder, ModelError> {
    let Some(kind) = section.word("type", Layer::KINDS)? else {
        return Err(section.missing("type", "; it says which layer this is, such as type = \"conv2d\""));
    };
    let name = section.text("name")?;
    let inputs = read_names(&mut section)?;
    let layer = read_kind(&mut section, kind)?;
    section.finish()?;
    let name = name.as_deref();
    Ok(match (inputs, name) {
        (Some(inputs), _) => {
            let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
            builder.push_from(name, layer, &inputs)
        }
        (None, Some(name)) => builder.named(name, layer),
        (None, None) => builder.layer(layer),
    })
}

fn read_names(section: &mut Section) -> Result<Option<Vec<String>>, ModelError> {
    let Some(value) = section.take("inputs") else { return Ok(None) };
    let names = value
        .as_array()
        .and_then(|items| items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<String>>>());
    names.map(Some).ok_or_else(|| section.error(format!("`inputs` must be a list of layer names, found {value}")))
}

fn read_kind(section: &mut Section, kind: &str) -> Result<Layer, ModelError> {
    Ok(match kind {
        "conv2d" => Layer::Conv2d {
            filters: required(section, "filters")?,
            kernel: read_pair(section, "kernel")?.unwrap_or(3.into()),
            stride: read_pair(section, "stride")?.unwrap_or(1.into()),
            padding: read_padding(section)?,
            activation: read_activation(section)?,
            init: read_init(section)?,
        },
        "dense" => Layer::Dense {
            units: required(section, "units")?,
            activation: read_activation(section)?,
            init: read_init(section)?,
        },
        "max_pool" | "avg_pool" => {
            let size = read_pair(section, "size")?.unwrap_or(2.into());
            let stride = read_pair(section, "stride")?.unwrap_or(size);
            let padding = read_padding(section)?;
            if kind == "max_pool" {
                Layer::MaxPool { size, stride, padding }
            } else {
                Layer::AvgPool { size, stride, padding }
            }
        }
        "global_avg_pool" => Layer::GlobalAvgPool,
        "relu" => Layer::Relu,
        "flatten" => Layer::Flatten,
        _ => Layer::Add,
    })
}

fn required(section: &mut Section, key: &'static str) -> Result<u32, ModelError> {
    match section.whole(key, 1)? {
        Some(value) => Ok(value),
        None => Err(section.missing(key, "")),
    }
}

fn read_pair(section: &mut Section, key: &'static str) -> Result<Option<Pair>, ModelError> {
    Ok(section.wholes::<2>(key, 1)?.map(|[height, width]| Pair { height, width }))
}

fn read_padding(section: &mut Section) -> Result<Padding, ModelError> {
    match section.take("padding") {
        None => Ok(Padding::Valid),
        Some(Value::String(word)) if word == "valid" => Ok(Padding::Valid),
        Some(Value::String(word)) if word == "same" => Ok(Padding::Same),
        Some(value) => {
            let problem = format!("`padding` must be \"valid\", \"same\", a number or [rows, columns], found {value}");
            let mut inner = Section::new(section.place(), Table::from_iter([("padding".to_owned(), value)]));
            match inner.wholes::<2>("padding", 0) {
                Ok(Some([height, width])) => Ok(Padding::Explicit(Pair { height, width })),
                _ => Err(section.error(problem)),
            }
        }
    }
}

fn read_activation(section: &mut Section) -> Result<Activation, ModelError> {
    Ok(match section.word("activation", &["none", "relu"])? {
        Some("relu") => Activation::Relu,
        _ => Activation::None,
    })
}

fn read_init(section: &mut Section) -> Result<Init, ModelError> {
    Ok(match section.word("init", &["glorot", "he"])? {
        Some("he") => Init::He,
        _ => Init::Glorot,
    })
}

fn write_layer(layer: &Layer) -> Table {
    let mut table = Table::new();
    table.insert("type".into(), layer.kind().into());
    match layer {
        Layer::Conv2d { filters, kernel, stride, padding, activation, init } => {
            table.insert("filters".into(), i64::from(*filters).into());
            table.insert("kernel".into(), pair(*kernel));
            table.insert("stride".into(), pair(*stride));
            write_common(&mut table, Some(*padding), Some(*activation), Some(*init));
        }
        Layer::Dense { units, activation, init } => {
            table.insert("units".into(), i64::from(*units).into());
            write_common(&mut table, None, Some(*activation), Some(*init));
        }
        Layer::MaxPool { size, stride, padding } | Layer::AvgPool { size, stride, padding } => {
            table.insert("size".into(), pair(*size));
            table.insert("stride".into(), pair(*stride));
            write_common(&mut table, Some(*padding), None, None);
        }
        Layer::GlobalAvgPool | Layer::Relu | Layer::Flatten | Layer::Add => {}
    }
    table
}

fn write_common(table: &mut Table, padding: Option<Padding>, activation: Option<Activation>, init: Option<Init>) {
    if let Some(padding) = padding {
        let value = match padding {
            Padding::Valid => "valid".into(),
            Padding::Same => "same".into(),
            Padding::Explicit(around) => pair(around),
        };
        table.insert("padding".into(), value);
    }
    if let Some(activation) = activation {
        let word = if activation == Activation::Relu { "relu" } else { "none" };
        table.insert("activation".into(), word.into());
    }
    if let Some(init) = init {
        table.insert("init".into(), init.name().into());
    }
}

fn pair(pair: Pair) -> Value {
    list([pair.height, pair.width])
}

fn list<const N: usize>(numbers: [u32; N]) -> Value {
    Value::Array(numbers.iter().map(|number| Value::Integer((*number).into())).collect())
}
