//! The network as a table.

use crate::format::count;
use crate::table::{Align, Table};
use tilegrad_model::{Activation, Layer, Network, Node, Padding};

/// Layer, output shape, parameters and operations of one image, with their sums.
pub fn network(network: &Network) -> Table {
    let mut table = Table::new([
        ("layer", Align::Left),
        ("", Align::Left),
        ("output", Align::Left),
        ("parameters", Align::Right),
        ("FLOPs per image", Align::Right),
    ]);
    let parameters = network.parameters();
    let of = |node: &Node| {
        let own = parameters
            .specs()
            .iter()
            .filter(|spec| spec.name.rsplit_once('.').is_some_and(|(layer, _)| layer == node.name));
        own.map(|spec| spec.len() as u64).sum::<u64>()
    };
    table.row(["input".into(), String::new(), network.input().to_string(), "0".into(), "0".into()]);
    for node in network.nodes() {
        let (parameters, flops) = (count(of(node)), count(network.flops_of(node)));
        table.row([node.name.clone(), details(&node.layer), node.output.to_string(), parameters, flops]);
    }
    let sums = network.nodes().iter().map(|node| (of(node), network.flops_of(node)));
    let (parameters, flops) = sums.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    table.total(["total".into(), String::new(), String::new(), count(parameters), count(flops)]);
    table
}

/// What a layer's name does not say.
fn details(layer: &Layer) -> String {
    match layer {
        Layer::Conv2d { filters, kernel, stride, padding, activation, .. } => {
            let stride = if (stride.height, stride.width) == (1, 1) { String::new() } else { format!(" / {stride}") };
            format!("{filters} of {kernel}{stride}{}{}", around(*padding), after(*activation))
        }
        Layer::MaxPool { size, stride, padding } | Layer::AvgPool { size, stride, padding } => {
            let stride = if stride == size { String::new() } else { format!(" / {stride}") };
            format!("{size}{stride}{}", around(*padding))
        }
        Layer::Dense { activation, .. } => after(*activation).trim_start_matches(" + ").into(),
        Layer::GlobalAvgPool | Layer::Relu | Layer::Flatten | Layer::Add => String::new(),
    }
}

fn around(padding: Padding) -> String {
    match padding {
        Padding::Valid => String::new(),
        Padding::Same => ", same".into(),
        Padding::Explicit(pair) => format!(", padding {pair}"),
    }
}

fn after(activation: Activation) -> &'static str {
    match activation {
        Activation::None => "",
        Activation::Relu => " + relu",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_network_adds_up() {
        let config = crate::commands::train::job::reference().unwrap();
        let text = network(&config.network).to_string();
        let last = text.lines().last().unwrap();
        assert!(last.starts_with("total") && last.contains("93,322"), "{text}");
        assert!(text.lines().nth(3).unwrap().contains("32 of 3x3 + relu"), "{text}");
        assert!(text.contains("26x26x32"), "{text}");
    }
}
