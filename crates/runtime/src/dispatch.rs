//! The one place where threads become workgroups.

use tilegrad_kernels::Threads;

/// Workgroups of a dispatch, or the first dimension that does not fit.
///
/// A line of threads is folded into rows, so that it fits as long as `limit * limit` groups do.
pub fn workgroups(threads: Threads, workgroup: [u32; 3], limit: u32) -> Result<[u32; 3], TooMany> {
    let groups = match threads {
        Threads::Grid(threads) => [0, 1, 2].map(|axis| threads[axis].div_ceil(u64::from(workgroup[axis]))),
        Threads::Line(threads) => {
            let groups = threads.div_ceil(u64::from(workgroup[0]));
            let rows = groups.div_ceil(u64::from(limit)).max(1);
            [groups.div_ceil(rows), rows, 1]
        }
    };
    match (0..3).find(|&axis| groups[axis] > u64::from(limit)) {
        Some(axis) => Err(TooMany { axis: ["x", "y", "z"][axis], groups: groups[axis] }),
        None => Ok(groups.map(|count| count as u32)),
    }
}

/// More workgroups along one axis than a device allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany {
    /// Name of the axis.
    pub axis: &'static str,
    /// Workgroups that the call needs along it.
    pub groups: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_folded_and_covers_every_thread() {
        for threads in [1u64, 64, 65, 64 * 65_535, 64 * 65_535 + 1, 1_000_000_007] {
            let [x, y, z] = workgroups(Threads::Line(threads), [64, 1, 1], 65_535).unwrap();
            let covered = u64::from(x) * u64::from(y) * 64;
            assert!(z == 1 && x <= 65_535 && covered >= threads, "{threads}: {x} {y}");
            assert!(covered < threads + 64 * u64::from(y) + 64, "{threads} threads, {covered} covered");
        }
    }

    #[test]
    fn a_grid_that_does_not_fit_names_its_axis() {
        let threads = Threads::Grid([8, 70_000, 1]);
        assert_eq!(workgroups(threads, [8, 1, 1], 65_535), Err(TooMany { axis: "y", groups: 70_000 }));
        assert_eq!(workgroups(threads, [8, 2, 1], 65_535), Ok([1, 35_000, 1]));
    }
}
