//! What was tuned, in a file per adapter and driver.

use crate::choice::AdapterReport;
use crate::select::{Candidate, candidates};
use crate::store;
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use tilegrad_kernels::{Call, Halves, Kernel, Variant};

/// Number of the file's layout.
const FORMAT: u32 = 1;

/// The contents of a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tuned {
    format: u32,
    adapter: String,
    driver: String,
    backend: String,
    entries: Vec<Entry>,
}

/// What was found for one kernel with its exact params.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The kernel of the call.
    pub kernel: String,
    /// The params struct as words.
    pub params: Vec<u32>,
    /// The bindings that hold 16-bit floats.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub halves: Vec<String>,
    /// Taken without a tuning.
    pub default: Choice,
    /// The fastest, or the default again.
    pub chosen: Choice,
    /// Sum over the sources of all that were compared: with another set the call is worth another tuning.
    pub candidates: String,
    /// Seconds of the default.
    pub default_s: f64,
    /// Seconds of the chosen one.
    pub chosen_s: f64,
}

/// A variant by name, with the sum of its WGSL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// The kernel, which may be an alternative.
    pub kernel: String,
    /// Its variant.
    pub variant: String,
    /// Sum of the WGSL with the variant's constants, in hexadecimal.
    pub source: String,
}

impl Choice {
    /// Names `candidate` as it stands in this build.
    pub fn of((kernel, variant): Candidate) -> Self {
        let source = sum_of(&kernel.source(variant, Halves::NONE));
        Self { kernel: kernel.name.into(), variant: variant.name.into(), source }
    }

    /// The candidate of `kernel` that this names, if its WGSL is still the same.
    fn resolve(&self, kernel: &'static Kernel) -> Option<Candidate> {
        let named =
            |(kernel, variant): &(&Kernel, &Variant)| kernel.name == self.kernel && variant.name == self.variant;
        candidates(kernel).find(named).filter(|found| Self::of(*found) == *self)
    }
}

/// The sum over what is compared for a call.
pub fn sum_of_candidates(all: &[Candidate]) -> String {
    let sums: Vec<String> = all.iter().map(|candidate| Choice::of(*candidate).source).collect();
    sum_of(&sums.join(" "))
}

fn sum_of(text: &str) -> String {
    format!("{:016x}", store::sum(text.as_bytes()))
}

impl Entry {
    /// The chosen candidate, if both WGSL sources are still those that were measured.
    pub fn candidate(&self, kernel: &'static Kernel) -> Option<Candidate> {
        self.default.resolve(kernel)?;
        self.chosen.resolve(kernel)
    }

    fn is_for(&self, other: &Self) -> bool {
        self.kernel == other.kernel && self.params == other.params && self.halves == other.halves
    }
}

impl Tuned {
    /// Nothing yet.
    pub fn new(report: &AdapterReport) -> Self {
        let AdapterReport { name, driver, backend, .. } = report.clone();
        Self { format: FORMAT, adapter: name, driver, backend, entries: Vec::new() }
    }

    /// What the file of this adapter holds; nothing, with a warning, if it cannot be read or understood.
    pub fn load(report: &AdapterReport) -> Self {
        let Some(file) = file(report) else { return Self::new(report) };
        Self::read(&file, report).unwrap_or_else(|problem| {
            let file = file.display();
            log::warn!(
                "the tuning in {file} is ignored, the defaults are taken: {problem}; `tilegrad tune` writes a new one"
            );
            Self::new(report)
        })
    }

    /// What `file` holds, nothing if there is none, or what is wrong with it.
    pub fn read(file: &Path, report: &AdapterReport) -> Result<Self, String> {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Ok(Self::new(report));
            }
            Err(error) => return Err(error.to_string()),
        };
        match serde_json::from_str::<Self>(&text) {
            Ok(tuned) if tuned.belongs_to(report) => Ok(tuned),
            Ok(_) => Err("it is of another adapter, driver or version".into()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn belongs_to(&self, report: &AdapterReport) -> bool {
        let same = self.adapter == report.name && self.driver == report.driver && self.backend == report.backend;
        self.format == FORMAT && same
    }

    /// What was found for calls like this one.
    pub fn find(&self, call: &Call) -> Option<&Entry> {
        let halves = || Halves::of(call).names(call.kernel());
        self.entries.iter().find(|entry| {
            entry.kernel == call.kernel().name && entry.params == call.params() && halves().eq(entry.halves.iter())
        })
    }

    /// The variant that was chosen for a call.
    pub fn chosen(&self, call: &Call) -> Option<Candidate> {
        self.find(call)?.candidate(call.kernel())
    }

    /// Puts `entry` in the place of an older one.
    pub fn put(&mut self, entry: Entry) {
        self.entries.retain(|old| !old.is_for(&entry));
        self.entries.push(entry);
    }

    /// Kernels and shapes that were tuned.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Writes the file; none if the user wants no such files.
    pub fn save(&self, report: &AdapterReport) -> std::io::Result<Option<PathBuf>> {
        let Some(file) = file(report) else { return Ok(None) };
        self.write(&file)?;
        Ok(Some(file))
    }

    fn write(&self, file: &Path) -> std::io::Result<()> {
        store::write(file, (serde_json::to_string_pretty(self)? + "\n").as_bytes())
    }
}

/// The file of this adapter with this driver.
pub fn file(report: &AdapterReport) -> Option<PathBuf> {
    let parts = [report.name.as_str(), &report.driver, &report.backend];
    Some(store::folder()?.join("tune").join(store::file_name(&report.name, &parts, "json")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DeviceKind;
    use tilegrad_kernels::{Case, Element, Kernel, relu};

    const fn named(name: &'static str) -> Variant {
        Variant { name, ..Variant::LINE[0] }
    }

    static OTHER: Kernel =
        relu::KERNEL.variation("relu_other", relu::KERNEL.wgsl).with_variants(&[named("a"), named("b")]);
    static BASE: Kernel = relu::KERNEL.variation("relu", relu::KERNEL.wgsl).with_alternatives(&[&OTHER]);

    fn report(driver: &str) -> AdapterReport {
        AdapterReport {
            name: "toy".into(),
            kind: DeviceKind::Software,
            device_type: "Cpu".into(),
            backend: "Vulkan".into(),
            driver: driver.into(),
            features: vec![],
            limits: vec![],
            subgroup: None,
        }
    }

    fn call(count: u32, element: Element) -> Call {
        let mut case = Case::named("a call");
        let mut io = relu::Io { x: case.random("x", count as usize), y: case.output("y", count as usize) };
        (io.x.element, io.y.element) = (element, element);
        relu::call(io, count).unwrap()
    }

    fn entry() -> Entry {
        let all: Vec<Candidate> = candidates(&BASE).collect();
        Entry {
            kernel: "relu".into(),
            params: vec![7],
            halves: vec![],
            default: Choice::of(all[2]),
            chosen: Choice::of(all[1]),
            candidates: sum_of_candidates(&all),
            default_s: 2.0,
            chosen_s: 1.0,
        }
    }

    fn tuned() -> Tuned {
        let mut tuned = Tuned::new(&report("1"));
        tuned.put(entry());
        tuned
    }

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tune/toy.json");
        tuned().write(&file).unwrap();
        let again = Tuned::read(&file, &report("1")).unwrap();
        assert_eq!(again, tuned());
        let chosen = again.find(&call(7, Element::F32)).and_then(|entry| entry.candidate(&BASE)).unwrap();
        assert_eq!((chosen.0.name, chosen.1.name), ("relu_other", "b"));
        assert!(again.find(&call(8, Element::F32)).is_none(), "other params");
        assert!(again.find(&call(7, Element::F16)).is_none(), "other elements");
    }

    #[test]
    fn a_damaged_or_foreign_file_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("toy.json");
        tuned().write(&file).unwrap();
        assert!(Tuned::read(&file, &report("2")).is_err(), "another driver");
        let whole = std::fs::read(&file).unwrap();
        for damaged in [&whole[..whole.len() / 2], &[], &[0xff, 0xfe]] {
            std::fs::write(&file, damaged).unwrap();
            assert!(Tuned::read(&file, &report("1")).is_err());
        }
        let later = String::from_utf8(whole).unwrap().replace("\"format\": 1", "\"format\": 2");
        std::fs::write(&file, later).unwrap();
        assert!(Tuned::read(&file, &report("1")).is_err(), "another format");
        for missing in [folder.path().join("missing"), file.join("below a file")] {
            assert_eq!(Tuned::read(&missing, &report("1")).unwrap().len(), 0);
        }
    }

    #[test]
    fn another_source_of_either_counts_as_untuned() {
        type Part = fn(&mut Entry) -> &mut Choice;
        let parts: [Part; 2] = [|entry| &mut entry.default, |entry| &mut entry.chosen];
        for part in parts {
            let mut changed = entry();
            part(&mut changed).source = "0123456789abcdef".into();
            assert!(changed.candidate(&BASE).is_none());
            let mut gone = entry();
            part(&mut gone).variant = "c".into();
            assert!(gone.candidate(&BASE).is_none());
        }
        assert!(entry().candidate(&BASE).is_some());
        assert!(entry().candidate(&OTHER).is_none(), "the default is none of its variants");
    }

    #[test]
    fn a_new_entry_replaces_the_old() {
        let mut tuned = tuned();
        tuned.put(Entry { chosen_s: 0.5, ..entry() });
        tuned.put(Entry { params: vec![8], ..entry() });
        tuned.put(Entry { halves: vec!["x".into(), "y".into()], chosen_s: 0.25, ..entry() });
        assert_eq!(tuned.len(), 3);
        let found = [Element::F32, Element::F16].map(|element| tuned.find(&call(7, element)).unwrap().chosen_s);
        assert_eq!(found, [0.5, 0.25]);
    }
}
