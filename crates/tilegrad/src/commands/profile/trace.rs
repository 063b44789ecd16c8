//! A step as a trace for Perfetto and chrome://tracing: its calls end to end on one track.

use super::measure::{Profile, TimedCall};
use super::report::Report;
use serde_json::{Map, Value, json};
use tilegrad_kernels::{Call, FieldType};
use tilegrad_runtime::Graph;

/// The trace; times are in microseconds, as the format wants them.
pub fn json(report: &Report, profile: &Profile, graph: &Graph) -> Value {
    let mut events = vec![
        metadata("process_name", &format!("tilegrad on {}", report.device)),
        metadata("thread_name", "calls of a step, end to end"),
    ];
    let mut now = 0.0;
    for (timed, node) in profile.calls.iter().zip(graph.nodes()) {
        events.push(event(timed, &node.call, now));
        now += timed.seconds.unwrap_or(0.0) * 1e6;
    }
    let about = json!({ "device": report.device, "batch": report.batch, "method": profile.method });
    json!({ "traceEvents": events, "displayTimeUnit": "ms", "otherData": about })
}

fn metadata(name: &str, value: &str) -> Value {
    json!({ "name": name, "ph": "M", "pid": 1, "tid": 1, "args": { "name": value } })
}

/// A call as a complete event, or as an instant one if it could not be measured.
fn event(timed: &TimedCall, call: &Call, ts: f64) -> Value {
    let mut args = json!({
        "layer": timed.scope, "params": params(call), "flops": timed.cost.flops, "bytes": timed.cost.bytes,
    });
    let mut event = json!({ "name": timed.kernel, "cat": "kernel", "pid": 1, "tid": 1, "ts": ts });
    match timed.seconds {
        Some(seconds) => (event["ph"], event["dur"]) = ("X".into(), (seconds * 1e6).into()),
        None => (event["ph"], event["s"], args["time"]) = ("i".into(), "t".into(), "not measured".into()),
    }
    event["args"] = args;
    event
}

/// The params by name.
fn params(call: &Call) -> Value {
    let fields = call.kernel().params.iter().zip(call.params()).map(|(field, word)| {
        let value = match field.ty {
            FieldType::U32 => Value::from(*word),
            FieldType::F32 => Value::from(f32::from_bits(*word)),
        };
        (field.name.to_owned(), value)
    });
    Value::Object(fields.collect::<Map<_, _>>())
}
