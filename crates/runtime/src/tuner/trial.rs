//! One call with each of its candidates: the right numbers first, then the time.

use super::measure::{LEAST, SAMPLES, Samples, repetitions};
use crate::select::Candidate;
use crate::{Device, Graph, Memory, Plan, Purpose, RuntimeError};
use std::time::Instant;
use tilegrad_kernels::{Access, Binding, Call, Element, HostCall, Tolerance, hash, operands};

/// A candidate that takes this many times as long as the default in its first run is not sampled any further.
const HOPELESS: f64 = 4.0;

/// A call on its own, with memory for its buffers and random contents for them.
pub struct Trial<'a> {
    device: &'a Device,
    graph: Graph,
    memories: Vec<Memory>,
    contents: Vec<Vec<u32>>,
}

/// A candidate that ran.
struct Ran {
    plan: Plan,
    /// What it left in the buffers that it writes.
    written: Vec<Vec<u32>>,
    /// Seconds of that first run.
    once: f64,
}

/// How a candidate did.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Right, and this fast in seconds.
    Seconds(f64),
    /// Right, but so slow in its first run that it was not measured any further; the seconds of that run.
    Hopeless(f64),
    /// Not comparable, and why.
    Rejected(String),
}

impl<'a> Trial<'a> {
    /// `call` on its own. Floats are random in `[-1, 1)`, or small whole numbers if the call writes integers: those are
    /// compared exactly, and sums of whole numbers are exact in any order. Integers are zero, which is right wherever an
    /// index is meant.
    pub fn new(device: &'a Device, call: &Call) -> Result<Self, RuntimeError> {
        let mut graph = Graph::new();
        let call = call.rebound(|slice| graph.external(&slice.name, slice.len, slice.element, Purpose::Scratch));
        let written = |binding: &Binding| binding.access == Access::ReadWrite;
        let whole = call.kernel().bindings.iter().any(|binding| written(binding) && binding.element == Element::U32);
        let contents: Vec<Vec<u32>> =
            (0..).zip(call.buffers()).map(|(at, slice)| random(at, slice.len, slice.element, whole)).collect();
        let memories = call.buffers().iter().zip(&contents).map(|(slice, words)| device.upload(&slice.name, words));
        let memories = memories.collect::<Result<_, _>>()?;
        graph.push("tuned", call);
        Ok(Self { device, graph, memories, contents })
    }

    fn call(&self) -> &Call {
        &self.graph.nodes()[0].call
    }

    /// A verdict for each of `candidates`, the first of which is the default; `in_time` says whether there is time left.
    /// None if there was not.
    ///
    /// # Errors
    /// Those of the default, which should run anywhere, and [`RuntimeError::Lost`].
    pub fn run(
        &self,
        candidates: &[Candidate],
        in_time: &dyn Fn() -> bool,
    ) -> Result<Option<Vec<Verdict>>, RuntimeError> {
        let expected = self.expected();
        let mut ran: Vec<Result<Ran, Verdict>> = Vec::new();
        for candidate in candidates {
            if !in_time() {
                return Ok(None);
            }
            let default = ran.first().and_then(|first| first.as_ref().ok());
            let next = match (self.first_run(*candidate), default) {
                (Err(error), None) => return Err(error),
                (Err(error @ RuntimeError::Lost { .. }), _) => return Err(error),
                (Err(error), _) => Err(Verdict::Rejected(error.to_string())),
                (Ok(next), None) => match self.wrong(&next.written, &expected) {
                    Some(problem) => {
                        let verdict = Verdict::Rejected(self.wrong_default(&problem));
                        return Ok(Some(vec![verdict; candidates.len()]));
                    }
                    None => Ok(next),
                },
                (Ok(next), Some(default)) => self.judged(next, default, &expected),
            };
            ran.push(next);
        }
        self.time(ran, in_time)
    }

    fn wrong_default(&self, problem: &str) -> String {
        let kernel = self.call().kernel().name;
        format!("{kernel} without a tuning differs from the CPU ({problem}); try `tilegrad validate`")
    }

    /// What the CPU makes of it.
    fn expected(&self) -> Vec<Vec<u32>> {
        let (call, mut contents) = (self.call(), self.contents.clone());
        let host = HostCall::new(call, call.kernel().on_cpu());
        host.run(operands(call.kernel(), &mut contents), &mut vec![0; host.scratch()]);
        self.written_of(contents)
    }

    /// The contents of the buffers that the call writes.
    fn written_of(&self, contents: Vec<Vec<u32>>) -> Vec<Vec<u32>> {
        let all = contents.into_iter().zip(self.call().kernel().bindings);
        all.filter(|(_, binding)| binding.access == Access::ReadWrite).map(|(words, _)| words).collect()
    }

    fn first_run(&self, candidate: Candidate) -> Result<Ran, RuntimeError> {
        let external: Vec<_> = self.call().buffers().iter().zip(&self.memories).collect();
        let plan = self.device.prepare_with(&self.graph, &external, &|_| Ok(candidate))?;
        for ((memory, words), binding) in self.memories.iter().zip(&self.contents).zip(self.call().kernel().bindings) {
            if binding.access == Access::ReadWrite {
                self.device.write(memory, 0, words)?;
            }
        }
        self.device.wait()?;
        let begun = Instant::now();
        plan.run(1)?;
        self.device.wait()?;
        let once = begun.elapsed().as_secs_f64();
        let contents = self.memories.iter().map(|memory| self.device.read(memory)).collect::<Result<_, _>>()?;
        Ok(Ran { plan, written: self.written_of(contents), once })
    }

    /// Seconds of one more run; endless if it fails.
    fn again(&self, plan: &Plan) -> f64 {
        let begun = Instant::now();
        match plan.run(1).and_then(|()| self.device.wait()) {
            Ok(()) => begun.elapsed().as_secs_f64(),
            Err(_) => f64::INFINITY,
        }
    }

    /// The promise is the same bits whatever is chosen, so a candidate needs those of the default.
    fn judged(&self, next: Ran, default: &Ran, expected: &[Vec<u32>]) -> Result<Ran, Verdict> {
        if let Some(problem) = self.wrong(&next.written, expected) {
            return Err(Verdict::Rejected(format!("differs from the CPU: {problem}")));
        }
        let hopeless = |seconds: f64| seconds > HOPELESS * default.once.max(LEAST);
        let pairs = || next.written.iter().flatten().zip(default.written.iter().flatten());
        match pairs().filter(|(got, wanted)| got != wanted).count() {
            // Twice, because a run may have had to wait for something else.
            0 if hopeless(next.once) && hopeless(self.again(&next.plan)) => Err(Verdict::Hopeless(next.once)),
            0 => Ok(next),
            other => {
                let all = pairs().count();
                Err(Verdict::Rejected(format!("{other} of {all} elements have other bits than the default's")))
            }
        }
    }

    /// The first element that is too far from the CPU's, in words.
    fn wrong(&self, got: &[Vec<u32>], expected: &[Vec<u32>]) -> Option<String> {
        let call = self.call();
        let bound = call.kernel().bindings.iter().zip(call.buffers());
        let written = bound.filter(|(binding, _)| binding.access == Access::ReadWrite);
        written.zip(got).zip(expected).find_map(|(((binding, slice), got), expected)| {
            let wrong = match slice.element {
                Element::U32 => first_other(got, expected),
                element => {
                    let floats = |words| element.floats(words, slice.len);
                    first_wrong(call.kernel().tolerance, element, &floats(got), &floats(expected))
                }
            };
            wrong.map(|(at, got, expected)| format!("`{}`[{at}] is {got}, expected {expected}", binding.name))
        })
    }

    /// Samples in turns, so that whatever else the machine does slows down all of them.
    fn time(
        &self,
        ran: Vec<Result<Ran, Verdict>>,
        in_time: &dyn Fn() -> bool,
    ) -> Result<Option<Vec<Verdict>>, RuntimeError> {
        let mut counts = Vec::new();
        for next in &ran {
            counts.push(match next {
                Ok(next) => repetitions(&mut |times| self.repeat(&next.plan, times))?,
                Err(_) => None,
            });
        }
        let mut samples = vec![Samples::default(); ran.len()];
        for _ in 0..SAMPLES {
            if !in_time() {
                return Ok(None);
            }
            for ((next, count), samples) in ran.iter().zip(&counts).zip(&mut samples) {
                if let (Ok(next), Some(count)) = (next, count) {
                    samples.take(&mut |times| self.repeat(&next.plan, times), *count)?;
                }
            }
        }
        let verdicts = ran.into_iter().zip(samples).map(|(next, samples)| match next {
            Ok(_) => samples.median().map_or_else(unmeasured, Verdict::Seconds),
            Err(verdict) => verdict,
        });
        Ok(Some(verdicts.collect()))
    }

    fn repeat(&self, plan: &Plan, times: u32) -> Result<(), RuntimeError> {
        plan.run(times)?;
        self.device.wait()
    }
}

fn unmeasured() -> Verdict {
    Verdict::Rejected("could not be measured: it took no time".into())
}

/// A place, and both words there.
type Difference = (usize, String, String);

fn first_other(got: &[u32], expected: &[u32]) -> Option<Difference> {
    let at = got.iter().zip(expected).position(|(got, expected)| got != expected)?;
    Some((at, got[at].to_string(), expected[at].to_string()))
}

/// The first element that is further from `expected` than `tolerance` allows.
fn first_wrong(tolerance: Tolerance, element: Element, got: &[f32], expected: &[f32]) -> Option<Difference> {
    let scale = expected.iter().map(|value| value.abs()).filter(|value| value.is_finite()).fold(0.0, f32::max);
    let at =
        got.iter().zip(expected).position(|(got, expected)| !tolerance.accepts(element, *got, *expected, scale))?;
    Some((at, got[at].to_string(), expected[at].to_string()))
}

fn random(stream: u32, len: usize, element: Element, whole: bool) -> Vec<u32> {
    let value = |at: u32| match element {
        Element::U32 => 0.0,
        _ if whole => (hash::bits(1, stream, at) % 5) as f32 - 2.0,
        _ => hash::uniform(1, stream, at) * 2.0 - 1.0,
    };
    element.pack(&(0..len as u32).map(value).collect::<Vec<f32>>())
}
