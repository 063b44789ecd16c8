//! `tilegrad graph`: a step as data, call by call. No device is opened.

mod dot;
mod object;

use crate::commands::train::reference;
use crate::engine::EngineArgs;
use crate::format::{count, plural};
use crate::output::{json, say, width};
use crate::table::{Align, Table};
use anyhow::Result;
use clap::{Args, ValueEnum, value_parser};
use std::collections::HashSet;
use std::path::PathBuf;
use tilegrad_kernels::{Access, Call, FieldType};
use tilegrad_model::{Config, DataSize, Mode, Program};
use tilegrad_runtime::Graph;

pub use object::params as params_object;

/// Show a training step, call by call
///
/// A line has the layer, the kernel, its work, the buffers that it reads -> writes, and its params; in a terminal that is too
/// narrow these two stand below. The data set is taken to be as large as one batch. Flops count a multiply-add as two; bytes are
/// what a call moves at the least. No device is opened: which variant of a kernel runs is decided there.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tilegrad graph\n  tilegrad graph --config my.toml --mode predict --batch 1\n  \
                        tilegrad graph --dot | dot -Tsvg > step.svg")]
pub struct GraphArgs {
    /// Configuration; without one, the reference network for MNIST
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    engine: EngineArgs,
    /// Examples of the step [default: what the configuration says]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    batch: Option<u32>,
    /// What the step does
    #[arg(long, value_enum, default_value_t = StepMode::Train)]
    mode: StepMode,
    /// Graphviz DOT instead of a table: calls are nodes, buffers are edges
    #[arg(long)]
    dot: bool,
    /// One object of JSON instead of a table
    #[arg(long, conflicts_with = "dot")]
    json: bool,
}

/// [`Mode`] on the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum StepMode {
    /// Forward, backward and update
    Train,
    /// Forward and loss
    Evaluate,
    /// Forward only
    Predict,
}

impl From<StepMode> for Mode {
    fn from(mode: StepMode) -> Self {
        match mode {
            StepMode::Train => Self::Train,
            StepMode::Evaluate => Self::Evaluate,
            StepMode::Predict => Self::Predict,
        }
    }
}

/// Prints the graph.
pub fn run(args: &GraphArgs) -> Result<()> {
    let mut config = args.config.as_deref().map_or_else(reference, |path| Ok(Config::load(path)?))?;
    let batch = args.batch.unwrap_or(config.train.batch);
    args.engine.apply(&mut config);
    let data = DataSize::whole(batch, batch);
    let graph = Program::record(&config, args.mode.into(), batch, data)?.graph;
    graph.check()?;
    if args.json {
        return json(&object::Step::new(&graph, batch));
    }
    let text = if args.dot { dot::text(&graph) } else { text(&graph, width()) };
    say!("{}", text.trim_end());
    Ok(())
}

/// The table and its sums, in lines of at most `width` columns.
fn text(graph: &Graph, width: Option<usize>) -> String {
    let mut table = Table::new([
        ("call", Align::Right),
        ("layer", Align::Left),
        ("kernel", Align::Left),
        ("flops", Align::Right),
        ("bytes", Align::Right),
        ("buffers", Align::Left),
        ("params", Align::Left),
    ]);
    let (mut flops, mut bytes) = (0, 0);
    for (number, node) in graph.nodes().iter().enumerate() {
        let (call, cost) = (&node.call, node.call.cost());
        flops += cost.flops;
        bytes += cost.bytes;
        table.row([
            (number + 1).to_string(),
            node.scope.clone(),
            call.kernel().name.into(),
            count(cost.flops),
            count(cost.bytes),
            buffers(call),
            params(call),
        ]);
    }
    let calls = plural(graph.nodes().len(), "call");
    let used: HashSet<_> =
        graph.nodes().iter().flat_map(|node| node.call.buffers()).map(|slice| slice.buffer).collect();
    let live = plural(used.len(), "buffer");
    let table = table.fit(width);
    format!("{table}\ntotal: {calls} over {live}, {} flops, {} bytes", count(flops), count(bytes))
}

/// The params by name.
fn params(call: &Call) -> String {
    let fields = call.kernel().params.iter().zip(call.params()).map(|(field, word)| match field.ty {
        FieldType::U32 => format!("{}={word}", field.name),
        FieldType::F32 => format!("{}={}", field.name, f32::from_bits(*word)),
    });
    fields.collect::<Vec<_>>().join(" ")
}

/// The buffers that are read, an arrow, and those that are written.
fn buffers(call: &Call) -> String {
    let of = |access: Access| {
        let bound =
            call.kernel().bindings.iter().zip(call.buffers()).filter(move |(binding, _)| binding.access == access);
        bound.map(|(binding, slice)| format!("{}={slice}", binding.name)).collect::<Vec<_>>().join(" ")
    };
    format!("{} -> {}", of(Access::Read), of(Access::ReadWrite)).trim_start().into()
}
