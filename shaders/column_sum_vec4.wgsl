// Sum of each column of x over the s-th share of the rows, four columns to a load.
// A thread makes 4 elements of y, a workgroup 4 * WORKGROUP neighbouring ones of one share; it adds eight rows at a time,
// one after the other. Threads beyond the edge repeat the last columns and store nothing.
// Rust: crates/kernels/src/column_sum_vec4.rs

override rows: u32;
override columns: u32;
override splits: u32;

const WORKGROUP: u32 = 32u;
const ROWS: u32 = 8u;

alias StoredX = f32; // or f16
alias StoredY = f32; // or f16

@group(0) @binding(0) var<storage, read> x: array<vec4<StoredX>>; // [rows, columns]
@group(0) @binding(1) var<storage, read_write> y: array<vec4<StoredY>>; // [splits, columns]

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let vectors = columns / 4u;
    let vector = min(id.x, vectors - 1u);
    let share = (rows + splits - 1u) / splits;
    let first = min(id.y * share, rows);
    let last = min(first + share, rows);
    var sum = vec4f();
    var row = first;
    for (; row + ROWS <= last; row += ROWS) {
        for (var i = 0u; i < ROWS; i++) {
            sum += vec4f(x[(row + i) * vectors + vector]);
        }
    }
    for (; row < last; row++) {
        sum += vec4f(x[row * vectors + vector]);
    }
    if id.x < vectors {
        y[id.y * vectors + vector] = vec4<StoredY>(sum);
    }
}
