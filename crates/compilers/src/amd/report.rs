//! What a compiled kernel takes.

use super::{AmdError, device::text, pipeline::Pipeline};
use ash::vk;

/// The compiler's account of one kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Vector registers of a lane.
    pub vgprs: u64,
    /// Scalar registers of a subgroup.
    pub sgprs: u64,
    /// Vector registers that did not fit and live in memory.
    pub spilled_vgprs: u64,
    /// Scalar registers that did not fit.
    pub spilled_sgprs: u64,
    /// Workgroup memory of a workgroup.
    pub lds_bytes: u64,
    /// Private memory of a lane: spills, and arrays whose indices are not known to the compiler.
    pub scratch_bytes: u64,
    /// Occupancy as RADV states it: subgroups that fit on a SIMD at once. On RDNA it counts in subgroups of 32 lanes,
    /// so that one of 64 lanes counts as two.
    pub subgroups_per_simd: u64,
    /// Lanes of a subgroup.
    pub subgroup_size: u32,
    /// Machine code.
    pub code_bytes: u64,
    /// The machine code as text, if it was asked for and Mesa was built with a disassembler.
    pub asm: Option<String>,
}

/// The driver's account of the pipeline, with the code if it was captured.
pub fn read(pipeline: &Pipeline<'_>) -> Result<Report, AmdError> {
    let subgroup_size = subgroup_size(pipeline)?;
    let all = statistics(pipeline)?;
    let number = |name: &str| {
        let found = all.iter().find(|statistic| text(&statistic.name) == name);
        found.and_then(number_of).ok_or_else(|| AmdError::TooOld(format!("statistic `{name}`")))
    };
    Ok(Report {
        vgprs: number("VGPRs")?,
        sgprs: number("SGPRs")?,
        spilled_vgprs: number("Spilled VGPRs")?,
        spilled_sgprs: number("Spilled SGPRs")?,
        lds_bytes: number("LDS size")?,
        scratch_bytes: number("Scratch size")?,
        subgroups_per_simd: number("Subgroups per SIMD")?,
        subgroup_size,
        code_bytes: number("Code size")?,
        asm: asm(pipeline)?,
    })
}

/// Lanes of the only executable; RADV compiles a compute pipeline to one.
fn subgroup_size(pipeline: &Pipeline<'_>) -> Result<u32, AmdError> {
    let whole = vk::PipelineInfoKHR::default().pipeline(pipeline.raw());
    // SAFETY: the device made the pipeline and was opened with this extension's feature.
    let found = unsafe { pipeline.device().executables.get_pipeline_executable_properties(&whole) }
        .map_err(AmdError::driver("list the executables"))?;
    let first = found.first().ok_or_else(|| AmdError::TooOld("executable of a compute pipeline".into()))?;
    Ok(first.subgroup_size)
}

fn executable<'p>(pipeline: &Pipeline<'p>) -> vk::PipelineExecutableInfoKHR<'p> {
    vk::PipelineExecutableInfoKHR::default().pipeline(pipeline.raw()).executable_index(0)
}

fn statistics<'p>(pipeline: &Pipeline<'p>) -> Result<Vec<vk::PipelineExecutableStatisticKHR<'p>>, AmdError> {
    // SAFETY: the pipeline was made with CAPTURE_STATISTICS and has an executable 0, as `subgroup_size` saw.
    unsafe { pipeline.device().executables.get_pipeline_executable_statistics(&executable(pipeline)) }
        .map_err(AmdError::driver("read the statistics"))
}

fn number_of(statistic: &vk::PipelineExecutableStatisticKHR<'_>) -> Option<u64> {
    if statistic.format != vk::PipelineExecutableStatisticFormatKHR::UINT64 {
        return None;
    }
    // SAFETY: the format says which field of the union the driver wrote.
    Some(unsafe { statistic.value.u64 })
}

/// The machine code, if the pipeline was made to keep it.
fn asm(pipeline: &Pipeline<'_>) -> Result<Option<String>, AmdError> {
    if !pipeline.keeps_code() {
        return Ok(None);
    }
    // SAFETY: the executable exists, and the pipeline was made to keep its code; RADV crashes if it was not.
    let listed = unsafe {
        pipeline.device().executables.get_pipeline_executable_internal_representations(&executable(pipeline))
    };
    let mut listed = listed.map_err(AmdError::driver("list the forms of the code"))?;
    let mut texts: Vec<Vec<u8>> = listed.iter().map(|form| vec![0; form.data_size]).collect();
    for (form, text) in listed.iter_mut().zip(&mut texts) {
        form.p_data = text.as_mut_ptr().cast();
    }
    fill(pipeline, &mut listed)?;
    let is_code = |form: &vk::PipelineExecutableInternalRepresentationKHR<'_>| {
        form.is_text == vk::TRUE && text(&form.name).contains("ssembly")
    };
    let code = listed.iter().zip(&texts).find(|(form, _)| is_code(form));
    let code = code.map(|(_, bytes)| String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned());
    Ok(code.filter(|code| !code.trim().is_empty()))
}

/// Has the driver write each form of the code to its `p_data`.
fn fill(
    pipeline: &Pipeline<'_>,
    forms: &mut [vk::PipelineExecutableInternalRepresentationKHR<'_>],
) -> Result<(), AmdError> {
    let device = pipeline.device();
    let get = device.executables.fp().get_pipeline_executable_internal_representations_khr;
    let mut count = forms.len() as u32;
    // SAFETY: the pipeline keeps its code. `forms` has `count` elements, each with a `p_data` of its own `data_size` bytes that outlives the call.
    let result = unsafe { get(device.raw.handle(), &executable(pipeline), &mut count, forms.as_mut_ptr()) };
    result.result().map_err(AmdError::driver("read the code"))
}
