//! RADV's null device.

use super::{AmdError, Chip};
use ash::{ext::robustness2, khr::pipeline_executable_properties as executables, vk};
use std::ffi::CStr;

/// AMD's number among PCI vendors.
const AMD: u32 = 0x1002;

/// A Vulkan instance with its loader.
struct Instance {
    raw: ash::Instance,
    /// Keeps the loader's library mapped.
    _entry: ash::Entry,
}

impl Instance {
    fn new() -> Result<Self, AmdError> {
        // SAFETY: this loads the system's Vulkan loader, whose initialisation asks nothing of its caller.
        let entry = unsafe { ash::Entry::load() }.map_err(|error| AmdError::NoLoader(error.to_string()))?;
        let application = vk::ApplicationInfo::default().api_version(vk::API_VERSION_1_3);
        let wanted = vk::InstanceCreateInfo::default().application_info(&application);
        // SAFETY: `wanted` names no layer or extension, and outlives the call with all that it points to.
        let raw = unsafe { entry.create_instance(&wanted, None) };
        let raw = raw.map_err(|error| AmdError::NoDriver(error.to_string()))?;
        Ok(Self { raw, _entry: entry })
    }

    fn amd_chip(&self) -> Result<(vk::PhysicalDevice, vk::PhysicalDeviceProperties), AmdError> {
        // SAFETY: the instance is alive.
        let found =
            unsafe { self.raw.enumerate_physical_devices() }.map_err(|error| AmdError::NoDriver(error.to_string()))?;
        let with_properties = found.into_iter().map(|physical| {
            // SAFETY: `physical` was just listed by this instance.
            (physical, unsafe { self.raw.get_physical_device_properties(physical) })
        });
        let mut amd = with_properties.filter(|(_, properties)| properties.vendor_id == AMD);
        amd.next().ok_or_else(|| AmdError::NoDriver("no Vulkan driver shows an AMD chip".into()))
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // SAFETY: the only child of the instance is the device, which goes first: it holds the instance.
        unsafe { self.raw.destroy_instance(None) };
    }
}

/// A device that compiles and cannot run.
pub struct Device {
    /// The Vulkan device.
    pub raw: ash::Device,
    /// Statistics of pipelines.
    pub executables: executables::Device,
    /// Outlives the device.
    _instance: Instance,
}

impl Device {
    /// The null device of `chip`, which the environment must name.
    pub fn open(chip: Chip) -> Result<Self, AmdError> {
        let instance = Instance::new()?;
        let (physical, properties) = instance.amd_chip()?;
        let name = text(&properties.device_name);
        if !name.to_lowercase().contains(chip.name()) {
            return Err(AmdError::WrongChip { wanted: chip, found: name });
        }
        if properties.api_version < vk::API_VERSION_1_3 {
            return Err(AmdError::TooOld("Vulkan 1.3".into()));
        }
        let raw = open(&instance.raw, physical)?;
        let executables = executables::Device::new(&instance.raw, &raw);
        Ok(Self { raw, executables, _instance: instance })
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // SAFETY: pipelines borrow the device, so none is left.
        unsafe { self.raw.destroy_device(None) };
    }
}

/// The device with every feature the chip has, as far as wgpu knows them: robust buffer access, above all, decides
/// how memory is read.
fn open(instance: &ash::Instance, physical: vk::PhysicalDevice) -> Result<ash::Device, AmdError> {
    for needed in [executables::NAME, robustness2::NAME] {
        if !has_extension(instance, physical, needed)? {
            return Err(AmdError::TooOld(needed.to_string_lossy().into_owned()));
        }
    }
    let mut v11 = vk::PhysicalDeviceVulkan11Features::default();
    let mut v12 = vk::PhysicalDeviceVulkan12Features::default();
    let mut v13 = vk::PhysicalDeviceVulkan13Features::default();
    let mut robust = vk::PhysicalDeviceRobustness2FeaturesEXT::default();
    let mut statistics = vk::PhysicalDevicePipelineExecutablePropertiesFeaturesKHR::default();
    let mut features = vk::PhysicalDeviceFeatures2::default()
        .push_next(&mut v11)
        .push_next(&mut v12)
        .push_next(&mut v13)
        .push_next(&mut robust)
        .push_next(&mut statistics);
    // SAFETY: each struct of the chain belongs to Vulkan 1.3 or to an extension that was found above.
    unsafe { instance.get_physical_device_features2(physical, &mut features) };
    let extensions = [executables::NAME.as_ptr(), robustness2::NAME.as_ptr()];
    let queues = [vk::DeviceQueueCreateInfo::default().queue_family_index(0).queue_priorities(&[1.0])];
    let wanted = vk::DeviceCreateInfo::default()
        .queue_create_infos(&queues)
        .enabled_extension_names(&extensions)
        .push_next(&mut features);
    // SAFETY: the chip has the extensions and the features asked for, and a first queue family as every device.
    unsafe { instance.create_device(physical, &wanted, None) }.map_err(AmdError::driver("open its null device"))
}

fn has_extension(instance: &ash::Instance, physical: vk::PhysicalDevice, name: &CStr) -> Result<bool, AmdError> {
    // SAFETY: `physical` belongs to the instance.
    let all = unsafe { instance.enumerate_device_extension_properties(physical) }
        .map_err(AmdError::driver("list its extensions"))?;
    Ok(all.iter().any(|extension| extension.extension_name_as_c_str() == Ok(name)))
}

/// A driver's fixed-size text.
pub fn text(field: &[std::ffi::c_char]) -> String {
    let bytes: Vec<u8> = field.iter().map(|&byte| byte as u8).take_while(|&byte| byte != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}
