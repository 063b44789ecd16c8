//! What AMD's compiler makes of a kernel: registers, spills, shared memory, occupancy and code.

#[cfg(feature = "amd")]
pub use compile::run;

/// Says which build can do it.
#[cfg(not(feature = "amd"))]
pub fn run(
    _: &tilegrad_kernels::Kernel,
    _: Option<&tilegrad_kernels::Variant>,
    _: (Option<tilegrad_kernels::Case>, tilegrad_kernels::Halves),
    _: &str,
    _: bool,
) -> anyhow::Result<()> {
    anyhow::bail!(
        "--isa needs the feature `amd`, which this build lacks; build with \
         `cargo build --release -p tilegrad --features amd`"
    )
}

#[cfg(feature = "amd")]
mod compile {
    use crate::output::{note, say};
    use crate::table::{Align, Table};
    use anyhow::{Context, Result, anyhow, bail};
    use std::process::{Command, ExitStatus, Stdio};
    use tilegrad_compilers::amd::{Chip, Compiler, Report, on_chip};
    use tilegrad_kernels::{Case, Family, Halves, Kernel, Variant};

    /// Tells the second process of this executable that it was started for a chip.
    const CHILD: &str = "TILEGRAD_KERNEL_ON_CHIP";

    /// How the line of a failure begins.
    const ERROR: &str = "error: ";

    /// Prints a row for `variant`, or for each one meant for GPUs, and with `asm` the code.
    pub fn run(
        kernel: &Kernel,
        variant: Option<&Variant>,
        (case, halves): (Option<Case>, Halves),
        chip: &str,
        asm: bool,
    ) -> Result<()> {
        let chip: Chip = chip.parse()?;
        if std::env::var(CHILD).is_ok_and(|named| named == chip.name()) {
            return print(kernel, variant, (case, halves), chip, asm);
        }
        again(chip)
    }

    /// The same command line once more, in a process whose Vulkan driver compiles for `chip`.
    fn again(chip: Chip) -> Result<()> {
        let program = std::env::current_exe().context("this program's own file is not known")?;
        let mut command = Command::new(&program);
        command.args(std::env::args_os().skip(1)).env(CHILD, chip.name());
        command.stdin(Stdio::null()).stdout(Stdio::inherit()).stderr(Stdio::piped());
        let child = on_chip(&mut command, chip).spawn();
        let child = child.with_context(|| format!("{} cannot be started again", program.display()))?;
        let output = child.wait_with_output().context("the compiler's process cannot be waited for")?;
        pass_on(&String::from_utf8_lossy(&output.stderr), output.status)
    }

    /// Passes on what the other process said; its error becomes this one's.
    fn pass_on(said: &str, status: ExitStatus) -> Result<()> {
        let error = said.lines().rev().find_map(|line| line.strip_prefix(ERROR)).filter(|_| !status.success());
        if let Some(error) = error {
            // What the driver said beside it is of no use to a reader.
            return Err(anyhow!("{error}"));
        }
        said.lines().for_each(|line| note(format_args!("{line}")));
        if status.success() { Ok(()) } else { Err(anyhow!("the process of AMD's compiler ended with {status}")) }
    }

    /// A variant with the case that stands for it.
    struct Row<'k> {
        variant: &'k Variant,
        case: String,
        report: Report,
    }

    fn print(
        kernel: &Kernel,
        variant: Option<&Variant>,
        (case, halves): (Option<Case>, Halves),
        chip: Chip,
        asm: bool,
    ) -> Result<()> {
        let variants: Vec<&Variant> = match variant {
            Some(variant) => vec![variant],
            None => kernel.variants.iter().filter(|variant| variant.family != Family::BarrierFree).collect(),
        };
        if variants.is_empty() {
            bail!("{}: no variant is meant for GPUs; name one with --variant", kernel.name);
        }
        let cases = case.map_or_else(|| Cases::All((kernel.cases)()), Cases::One);
        let compiler = Compiler::open(chip)?;
        let rows: Vec<Row<'_>> = variants
            .into_iter()
            .map(|variant| widest(&compiler, kernel, variant, (&cases, halves), asm))
            .collect::<Result<_>>()?;
        say!("{}", table(&rows).to_string().trim_end());
        if asm { rows.iter().try_for_each(print_code) } else { Ok(()) }
    }

    /// The shapes to compile for.
    enum Cases {
        /// This one, whether it suits a variant or not.
        One(Case),
        /// Of all, those that a variant fits.
        All(Vec<Case>),
    }

    impl Cases {
        fn of(&self, variant: &Variant) -> Vec<&Case> {
            match self {
                Self::One(case) => vec![case],
                Self::All(cases) => cases.iter().filter(|case| (variant.fits)(case.call.params())).collect(),
            }
        }
    }

    /// The variant for each case, as shapes are constants; the case that takes most registers stands for it.
    fn widest<'k>(
        compiler: &Compiler,
        kernel: &Kernel,
        variant: &'k Variant,
        (cases, halves): (&Cases, Halves),
        asm: bool,
    ) -> Result<Row<'k>> {
        let compile = |case: &Case| {
            let params = case.call.params();
            let made = match asm {
                true => compiler.compile_with_asm(kernel, variant, params, halves),
                false => compiler.compile(kernel, variant, params, halves),
            };
            let report = made.with_context(|| format!("{}, case {}", kernel.name, case.name))?;
            Ok(Row { variant, case: case.name.clone(), report })
        };
        let rows: Vec<Row<'_>> = cases.of(variant).into_iter().map(compile).collect::<Result<_>>()?;
        let widest = rows.into_iter().max_by_key(|row| (row.report.spilled_vgprs, row.report.vgprs));
        widest
            .with_context(|| format!("{}: variant `{}` fits no case; name one with --case", kernel.name, variant.name))
    }

    fn table(rows: &[Row<'_>]) -> Table {
        let numbers = ["VGPRs", "SGPRs", "spilled VGPRs", "spilled SGPRs", "LDS bytes", "scratch bytes", "code bytes"];
        let occupancy = ["subgroups/SIMD", "lanes"];
        let right = numbers.into_iter().chain(occupancy).map(|title| (title, Align::Right));
        let mut table = Table::new([("variant", Align::Left)].into_iter().chain(right).chain([("case", Align::Left)]));
        for Row { variant, case, report: r } in rows {
            let numbers = [
                r.vgprs,
                r.sgprs,
                r.spilled_vgprs,
                r.spilled_sgprs,
                r.lds_bytes,
                r.scratch_bytes,
                r.code_bytes,
                r.subgroups_per_simd,
                r.subgroup_size.into(),
            ];
            let numbers = numbers.map(|number| number.to_string());
            table.row([variant.name.to_owned()].into_iter().chain(numbers).chain([case.clone()]));
        }
        table
    }

    fn print_code(row: &Row<'_>) -> Result<()> {
        let code = row.report.asm.as_deref().context("this Mesa was built without a disassembler; leave out --asm")?;
        say!("\nCode of variant {} for case {}:\n", row.variant.name, row.case);
        say!("{}", code.trim_end());
        Ok(())
    }
}
