// Sum of each column of x over the s-th share of the rows.
// A thread makes one element of y; neighbouring threads read neighbouring columns.
// Rust: crates/kernels/src/column_sum.rs

override rows: u32;
override columns: u32;
override splits: u32;

alias StoredX = f32; // or f16
alias StoredY = f32; // or f16

@group(0) @binding(0) var<storage, read> x: array<StoredX>; // [rows, columns]
@group(0) @binding(1) var<storage, read_write> y: array<StoredY>; // [splits, columns]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.y * (groups.x * 64u) + id.x;
    if i >= splits * columns {
        return;
    }
    let column = i % columns;
    let share = (rows + splits - 1u) / splits;
    let first = min((i / columns) * share, rows);
    let last = min(first + share, rows);
    var sum = 0.0;
    for (var row = first; row < last; row++) {
        sum += f32(x[row * columns + column]);
    }
    y[i] = StoredY(sum);
}
