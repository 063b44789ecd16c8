//! Vulkan drivers for the tests: is one there, and on a Debian or Ubuntu that is ours to change, install it.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fs};

use anyhow::{Context, Result, bail, ensure};

use crate::process;

/// Where Debian's `chromium` package puts the loader's file of SwiftShader, the second driver.
pub const SWIFTSHADER_ICD: &str = "/usr/lib/chromium/vk_swiftshader_icd.json";

/// Makes sure that the binary sees an adapter, or says what to install. What is only good to have is asked for
/// too, and its absence is said.
pub fn ensure(binary: &Path, variables: &[(&'static str, OsString)]) -> Result<()> {
    let system = System::here();
    let mut apt = Apt::default();
    if !has_adapter(binary, variables)? {
        ensure!(system.may_install(), "no adapter to test on; {}", system.advice());
        println!("xtask: no Vulkan adapter found");
        apt.install("mesa-vulkan-drivers")?;
        let found = has_adapter(binary, variables)?;
        ensure!(found, "mesa-vulkan-drivers is installed, but `tilegrad doctor` still lists no Vulkan adapter");
    }
    let extras = if system.may_install() { missing_extras(&system) } else { Vec::new() };
    for package in extras {
        // Nothing but coverage is lost without it, and the lines below say which.
        if let Err(error) = apt.install(package) {
            println!("xtask: {error:#}");
        }
    }
    for line in not_covered(&system) {
        println!("xtask: {line}");
    }
    Ok(())
}

/// Asks the binary's own `doctor`: a loader's file on disk does not prove a working driver.
fn has_adapter(binary: &Path, variables: &[(&'static str, OsString)]) -> Result<bool> {
    let mut command = Command::new(binary);
    command.args(["doctor", "--json"]).envs(variables.iter().cloned()).stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = command.output().with_context(|| format!("cannot start {}", binary.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !text.trim_start().starts_with('{') {
        bail!("`tilegrad doctor --json` printed no JSON object ({})", output.status);
    }
    Ok(lists_adapter(&text, env::consts::OS))
}

/// Whether doctor's JSON names an adapter of a backend that the tests run on. On Linux that is Vulkan alone.
fn lists_adapter(json: &str, os: &str) -> bool {
    let dense: String = json.chars().filter(|c| !c.is_whitespace()).collect();
    let backends: &[&str] = if os == "linux" { &["Vulkan"] } else { &["Vulkan", "Metal", "Dx12"] };
    backends.iter().any(|backend| dense.contains(&format!("\"backend\":\"{backend}\"")))
}

/// apt-get, with the lists of packages fetched once. A fresh image has none.
#[derive(Default)]
struct Apt {
    updated: bool,
}

impl Apt {
    fn install(&mut self, package: &str) -> Result<()> {
        println!("xtask: installing {package} with apt-get");
        if !self.updated {
            Self::run(&["update"])?;
            self.updated = true;
        }
        Self::run(&["install", "-y", "--no-install-recommends", package])
    }

    fn run(args: &[&str]) -> Result<()> {
        let mut command = Command::new("apt-get");
        process::run(command.args(args).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null()))
    }
}

/// What deepens the tests and is not there, by package.
fn missing_extras(system: &System) -> Vec<&'static str> {
    let mut packages = Vec::new();
    if system.family == Family::Debian && !has_swiftshader() {
        packages.push("chromium");
    }
    if !has_spirv_val() {
        packages.push("spirv-tools");
    }
    packages
}

/// A line for each thing that the tests will not cover on this machine.
fn not_covered(system: &System) -> Vec<String> {
    let mut lines = Vec::new();
    if !has_swiftshader() {
        let reason = match system.family {
            Family::Ubuntu => "Ubuntu's chromium package is a snap stub without SwiftShader",
            Family::Debian => "no SwiftShader (Debian's package chromium)",
            Family::Other(_) => "no SwiftShader from Debian's package chromium",
        };
        lines.push(format!("{reason}: the second-driver tests will report it as not covered"));
    }
    if !has_spirv_val() {
        lines.push("no spirv-val (package spirv-tools): the tests that use it will report it as not covered".into());
    }
    lines
}

fn has_swiftshader() -> bool {
    Path::new(SWIFTSHADER_ICD).is_file()
}

fn has_spirv_val() -> bool {
    let file = format!("spirv-val{}", env::consts::EXE_SUFFIX);
    env::split_paths(&env::var_os("PATH").unwrap_or_default()).any(|folder| folder.join(&file).is_file())
}

/// The machine, as far as installing packages goes.
struct System {
    family: Family,
    root: bool,
}

#[derive(Debug, PartialEq)]
enum Family {
    Debian,
    Ubuntu,
    /// Anything else, with the `ID` and `ID_LIKE` words of its os-release file.
    Other(Vec<String>),
}

impl System {
    fn here() -> Self {
        let os_release = fs::read_to_string("/etc/os-release").unwrap_or_default();
        Self { family: Family::of(&os_release), root: is_root() }
    }

    fn may_install(&self) -> bool {
        self.root && !matches!(self.family, Family::Other(_))
    }

    /// The command that installs a software Vulkan driver here.
    fn advice(&self) -> String {
        const COMMANDS: [(&str, &str); 4] = [
            ("fedora", "dnf install vulkan-loader mesa-vulkan-drivers"),
            ("arch", "pacman -S vulkan-icd-loader vulkan-swrast"),
            ("suse", "zypper install libvulkan1 libvulkan_lvp"),
            ("alpine", "apk add vulkan-loader mesa-vulkan-swrast"),
        ];
        let sudo = if self.root { "" } else { "sudo " };
        let Family::Other(ids) = &self.family else {
            return format!(
                "run: {sudo}apt-get update && {sudo}apt-get install -y --no-install-recommends mesa-vulkan-drivers"
            );
        };
        match COMMANDS.iter().find(|(id, _)| ids.iter().any(|known| known.contains(id))) {
            Some((_, command)) => format!("run: {sudo}{command}"),
            None => "install the graphics driver of this machine, or Mesa's software Vulkan driver (lavapipe)".into(),
        }
    }
}

impl Family {
    fn of(os_release: &str) -> Self {
        let ids: Vec<String> = os_release
            .lines()
            .filter_map(|line| line.strip_prefix("ID=").or_else(|| line.strip_prefix("ID_LIKE=")))
            .flat_map(|value| value.trim_matches(['"', '\'']).split_whitespace().map(str::to_owned))
            .collect();
        let is = |id: &str| ids.iter().any(|known| known == id);
        match () {
            () if is("ubuntu") => Self::Ubuntu,
            () if is("debian") => Self::Debian,
            () => Self::Other(ids),
        }
    }
}

/// Whether the effective user is root; asked of `id`, since the standard library doesn't know.
fn is_root() -> bool {
    let output = Command::new("id").arg("-u").stdin(Stdio::null()).stderr(Stdio::null()).output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_follow_from_os_release() {
        assert_eq!(Family::of("PRETTY_NAME=\"Debian 12\"\nID=debian\n"), Family::Debian);
        assert_eq!(Family::of("ID=ubuntu\nID_LIKE=debian\n"), Family::Ubuntu);
        assert_eq!(Family::of("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n"), Family::Ubuntu);
        assert_eq!(Family::of("ID=raspbian\nID_LIKE=debian\n"), Family::Debian);
        assert_eq!(Family::of("VERSION_ID=40\nID=fedora\n"), Family::Other(vec!["fedora".into()]));
        assert_eq!(Family::of(""), Family::Other(Vec::new()));
    }

    #[test]
    fn only_root_on_a_known_family_installs() {
        assert!(System { family: Family::Debian, root: true }.may_install());
        assert!(!System { family: Family::Debian, root: false }.may_install());
        assert!(!System { family: Family::Other(vec!["arch".into()]), root: true }.may_install());
    }

    #[test]
    fn advice_is_a_command_where_one_is_known() {
        let advice = |ids: &str, root| System { family: Family::of(ids), root }.advice();
        assert_eq!(
            advice("ID=debian", false),
            "run: sudo apt-get update && sudo apt-get install -y --no-install-recommends mesa-vulkan-drivers"
        );
        assert_eq!(advice("ID=arch", true), "run: pacman -S vulkan-icd-loader vulkan-swrast");
        assert_eq!(
            advice("ID=opensuse-leap\nID_LIKE=\"suse opensuse\"", false),
            "run: sudo zypper install libvulkan1 libvulkan_lvp"
        );
        assert!(advice("ID=plan9", false).contains("lavapipe"));
    }

    #[test]
    fn an_adapter_is_found_in_doctors_json() {
        let json =
            |backend: &str| format!("{{\n  \"adapters\": [ {{ \"backend\": \"{backend}\", \"type\": \"Cpu\" }} ]\n}}");
        assert!(lists_adapter(&json("Vulkan"), "linux"));
        assert!(!lists_adapter(&json("Gl"), "linux"));
        assert!(!lists_adapter("{\"adapters\":[]}", "linux"));
        assert!(lists_adapter(&json("Metal"), "macos"));
        assert!(!lists_adapter(&json("Metal"), "linux"));
    }
}
