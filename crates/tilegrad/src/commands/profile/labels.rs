//! Places for labels beside points, so that none hides another.

/// A rectangle in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Area {
    pub left: i32,
    pub top: i32,
    pub width: i32,
    pub height: i32,
}

impl Area {
    /// The square around a disc.
    pub fn around((x, y): (i32, i32), radius: i32) -> Self {
        Self { left: x - radius, top: y - radius, width: 2 * radius, height: 2 * radius }
    }

    pub fn middle(&self) -> (i32, i32) {
        (self.left + self.width / 2, self.top + self.height / 2)
    }

    fn overlaps(&self, other: &Self) -> bool {
        let along = |a: i32, a_len: i32, b: i32, b_len: i32| a < b + b_len && b < a + a_len;
        along(self.left, self.width, other.left, other.width) && along(self.top, self.height, other.top, other.height)
    }

    fn inside(&self, outer: &Self) -> bool {
        let along = |a: i32, a_len: i32, b: i32, b_len: i32| a >= b && a + a_len <= b + b_len;
        along(self.left, self.width, outer.left, outer.width) && along(self.top, self.height, outer.top, outer.height)
    }

    /// Whether the line from a disc to its text comes through here.
    fn cuts(&self, disc: &Self, text: &Self) -> bool {
        let (from, to) = (disc.middle(), text.nearest(disc.middle()));
        let between = |a: i32, b: i32, step: i32| a + (b - a) * step / 32;
        (0..=32).any(|step| Self::around((between(from.0, to.0, step), between(from.1, to.1, step)), 1).overlaps(self))
    }

    /// The nearest point of the rectangle.
    pub fn nearest(&self, (x, y): (i32, i32)) -> (i32, i32) {
        (x.clamp(self.left, self.left + self.width), y.clamp(self.top, self.top + self.height))
    }
}

/// Directions in the order in which they are tried: beside the point first.
const DIRECTIONS: [(i32, i32); 8] = [(1, 0), (-1, 0), (1, -1), (-1, -1), (1, 1), (-1, 1), (0, -1), (0, 1)];

/// A place for a text of each size beside each disc, as near as it can be within `bounds` and clear of all lines and texts,
/// if possible with a way to its disc that crosses no text. If there is none at all, the first choice stands.
pub fn place(bounds: &Area, lines: &[Area], texts: &[Area], discs: &[Area], sizes: &[(i32, i32)]) -> Vec<Area> {
    let taken: Vec<Area> = lines.iter().chain(discs).copied().collect();
    let mut placed = texts.to_vec();
    for (disc, &size) in discs.iter().zip(sizes) {
        let clear = |area: &Area| {
            let apart = |others: &[Area]| !others.iter().any(|other| other.overlaps(area));
            area.inside(bounds) && apart(&taken) && apart(&placed)
        };
        let free = |area: &Area| clear(area) && !placed.iter().any(|text| text.cuts(disc, area));
        let places = || candidates(disc, size);
        let found = places().find(free).or_else(|| places().find(clear)).or_else(|| places().next());
        placed.extend(found);
    }
    placed.split_off(texts.len())
}

/// Places around `disc`, from near to far.
fn candidates(disc: &Area, (width, height): (i32, i32)) -> impl Iterator<Item = Area> {
    let ((x, y), radius) = (disc.middle(), disc.width / 2);
    let distances = (0..24).map(move |step| radius + height / 4 + step * height / 2);
    distances.flat_map(move |distance| {
        DIRECTIONS.iter().map(move |(right, down)| {
            let left = x - width / 2 + right * (distance + width / 2);
            let top = y - height / 2 + down * (distance + height / 2);
            Area { left, top, width, height }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_crowded_points_stay_apart() {
        let bounds = Area { left: 0, top: 0, width: 1000, height: 600 };
        let discs: Vec<Area> = (0..12).map(|at| Area::around((500 + at % 3, 300 + at / 3), 6)).collect();
        let placed = place(&bounds, &[], &[], &discs, &[(90, 20); 12]);
        assert_eq!(placed.len(), 12);
        for (at, area) in placed.iter().enumerate() {
            assert!(area.inside(&bounds) && !discs.iter().any(|disc| disc.overlaps(area)), "{area:?}");
            assert!(!placed[..at].iter().any(|other| other.overlaps(area)), "{placed:?}");
        }
    }

    #[test]
    fn a_lonely_point_has_its_label_to_the_right() {
        let bounds = Area { left: 0, top: 0, width: 300, height: 100 };
        let placed = place(&bounds, &[], &[], &[Area::around((50, 50), 5)], &[(80, 20)]);
        assert_eq!(placed, [Area { left: 60, top: 40, width: 80, height: 20 }]);
        assert_eq!(placed[0].nearest((50, 50)), (60, 50));
    }
}
