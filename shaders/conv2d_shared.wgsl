// Convolution with bias, optionally followed by a ReLU, as a matrix product through workgroup memory.
// Rows of the product are the pixels of the output, columns the filters f, the inner index runs over the taps ky, kx of the
// kernel and the channels: im2col is done by whoever stages the images. A workgroup makes a BLOCK_M x BLOCK_N tile, a thread
// ROWS x COLUMNS of its elements, as in matmul_shared.
// Positions before the image wrap around to huge ones, so one comparison finds padding on either side.
// Rust: crates/kernels/src/conv2d_shared.rs

override batch: u32;
override height: u32;
override width: u32;
override channels: u32;
override kernel_height: u32;
override kernel_width: u32;
override stride_height: u32;
override stride_width: u32;
override pad_top: u32;
override pad_left: u32;
override out_height: u32;
override out_width: u32;
override filters: u32;
override relu: u32;

const WORKGROUP: u32 = 128u;
const BLOCK_M: u32 = 64u;
const BLOCK_N: u32 = 64u;
const BLOCK_K: u32 = 8u;
const ROWS: u32 = 8u;
const COLUMNS: u32 = 4u;
// With two buffers the next tile is staged while others still read this one: one barrier less.
const BUFFERS: u32 = 1u;

const QUADS_M: u32 = BLOCK_M / 4u;
const QUADS_N: u32 = BLOCK_N / 4u;
// One more, so that threads that stage along the inner index write to different banks.
const STRIDE_M: u32 = QUADS_M + 1u;
const THREADS_M: u32 = BLOCK_M / ROWS;
const THREADS_N: u32 = BLOCK_N / COLUMNS;
const ROW_QUADS: u32 = ROWS / 4u;
const COLUMN_QUADS: u32 = COLUMNS / 4u;
const X_LOADS: u32 = BLOCK_K * QUADS_M / WORKGROUP;
const W_LOADS: u32 = BLOCK_K * QUADS_N / WORKGROUP;

override pixels: u32 = batch * out_height * out_width;
override vectors: u32 = filters / 4u;
override terms: u32 = kernel_height * kernel_width * channels;
// Every tile is full along the inner index: no load needs a check.
override whole: bool = terms % BLOCK_K == 0u;
// A tile lies within one tap, which is then the same for all threads.
override one_tap: bool = channels % BLOCK_K == 0u;
// Every window lies within the image.
override inside: bool = pad_top == 0u && pad_left == 0u
    && (out_height - 1u) * stride_height + kernel_height <= height
    && (out_width - 1u) * stride_width + kernel_width <= width;

alias StoredX = f32; // or f16
alias StoredY = f32; // or f16

@group(0) @binding(0) var<storage, read> x: array<StoredX>; // [batch, height, width, channels]
@group(0) @binding(1) var<storage, read> weight: array<vec4f>; // [kernel_height, kernel_width, channels, filters]
@group(0) @binding(2) var<storage, read> bias: array<vec4f>; // [filters]
@group(0) @binding(3) var<storage, read_write> y: array<vec4<StoredY>>; // [batch, out_height, out_width, filters]

var<workgroup> x_tile: array<vec4f, BUFFERS * BLOCK_K * STRIDE_M>; // [BUFFERS, BLOCK_K, QUADS_M + 1]
var<workgroup> w_tile: array<vec4f, BUFFERS * BLOCK_K * QUADS_N>; // [BUFFERS, BLOCK_K, QUADS_N]

// The corners of the windows of four pixels, and their first elements in x.
struct Corners {
    row: vec4u,
    column: vec4u,
    start: vec4u,
}

// Pixels past the end repeat the last one; they are not stored.
fn corners(pixel0: u32) -> Corners {
    let pixel = min(pixel0 + vec4u(0u, 1u, 2u, 3u), vec4u(pixels - 1u));
    let line = pixel / out_width;
    let image = line / out_height;
    let row = (line - image * out_height) * stride_height - pad_top;
    let column = (pixel - line * out_width) * stride_width - pad_left;
    return Corners(row, column, ((image * height + row) * width + column) * channels);
}

// Values as they were loaded, and which of them count. They are only looked at when they are staged, since whoever looks at
// a value waits for it.
struct Elements {
    value: vec4f,
    valid: vec4<bool>,
}

// The elements of four windows at inner index p.
fn load_x(corner: Corners, p0: u32, lane: u32) -> Elements {
    // Past the end the last element is repeated; the weights are cleared there.
    let p = select(min(p0 + lane, terms - 1u), p0 + lane, whole);
    let tap = select(p, p0, one_tap) / channels;
    let ky = tap / kernel_width;
    let kx = tap - ky * kernel_width;
    var at = corner.start + ((ky * width + kx) * channels + p - tap * channels);
    var valid = vec4<bool>(true);
    if !inside {
        valid &= corner.row + ky < vec4u(height);
        valid &= corner.column + kx < vec4u(width);
        at = select(vec4u(), at, valid);
    }
    return Elements(vec4f(vec4<StoredX>(x[at.x], x[at.y], x[at.z], x[at.w])), valid);
}

// Four filters at inner index p.
fn load_w(p: u32, vector: u32) -> vec4f {
    return weight[select(min(p, terms - 1u), p, whole) * vectors + vector];
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) thread: u32,
) {
    // Rows of workgroups beyond what one dimension holds are counted in the third.
    let pixel0 = (group.z * groups.y + group.y) * BLOCK_M;
    let vector0 = group.x * QUADS_N;

    // Neighbouring threads stage neighbouring channels of a pixel and neighbouring filters.
    let x_inner = thread % BLOCK_K;
    let x_quad = thread / BLOCK_K;
    let w_inner = thread / QUADS_N;
    let w_quad = thread % QUADS_N;
    let w_vector = min(vector0 + w_quad, vectors - 1u);
    var corner: array<Corners, X_LOADS>;
    var x_next: array<Elements, X_LOADS>;
    for (var i = 0u; i < X_LOADS; i++) {
        corner[i] = corners(pixel0 + 4u * (x_quad + i * (WORKGROUP / BLOCK_K)));
        x_next[i] = load_x(corner[i], 0u, x_inner);
    }
    var w_next: array<vec4f, W_LOADS>;
    for (var i = 0u; i < W_LOADS; i++) {
        w_next[i] = load_w(w_inner + i * (WORKGROUP / QUADS_N), w_vector);
    }

    let my_row_quad = thread / THREADS_N;
    let my_column_quad = thread % THREADS_N;
    var sum: array<array<vec4f, COLUMN_QUADS>, ROWS>;
    var buffer = 0u;
    for (var p0 = 0u; p0 < terms; p0 += BLOCK_K) {
        if BUFFERS == 1u {
            workgroupBarrier();
        }
        for (var i = 0u; i < X_LOADS; i++) {
            let at = (buffer * BLOCK_K + x_inner) * STRIDE_M + x_quad + i * (WORKGROUP / BLOCK_K);
            x_tile[at] = select(vec4f(), x_next[i].value, x_next[i].valid);
        }
        for (var i = 0u; i < W_LOADS; i++) {
            let inner = w_inner + i * (WORKGROUP / QUADS_N);
            let valid = whole | (p0 + inner < terms);
            w_tile[(buffer * BLOCK_K + inner) * QUADS_N + w_quad] = select(vec4f(), w_next[i], valid);
        }
        workgroupBarrier();

        // The next tile is on its way from memory to registers while this one is in work.
        let p1 = p0 + BLOCK_K;
        if p1 < terms {
            for (var i = 0u; i < X_LOADS; i++) {
                x_next[i] = load_x(corner[i], p1, x_inner);
            }
            for (var i = 0u; i < W_LOADS; i++) {
                w_next[i] = load_w(p1 + w_inner + i * (WORKGROUP / QUADS_N), w_vector);
            }
        }

        for (var p = 0u; p < BLOCK_K; p++) {
            let x_line = (buffer * BLOCK_K + p) * STRIDE_M + my_row_quad;
            let w_line = (buffer * BLOCK_K + p) * QUADS_N + my_column_quad;
            var w_row: array<vec4f, COLUMN_QUADS>;
            for (var j = 0u; j < COLUMN_QUADS; j++) {
                w_row[j] = w_tile[w_line + j * THREADS_N];
            }
            for (var i = 0u; i < ROW_QUADS; i++) {
                let x_rows = x_tile[x_line + i * THREADS_M];
                for (var j = 0u; j < COLUMN_QUADS; j++) {
                    sum[4u * i][j] += x_rows.x * w_row[j];
                    sum[4u * i + 1u][j] += x_rows.y * w_row[j];
                    sum[4u * i + 2u][j] += x_rows.z * w_row[j];
                    sum[4u * i + 3u][j] += x_rows.w * w_row[j];
                }
            }
        }
        buffer = (buffer + 1u) % BUFFERS;
    }

    for (var j = 0u; j < COLUMN_QUADS; j++) {
        let vector = vector0 + my_column_quad + j * THREADS_N;
        let offset = bias[min(vector, vectors - 1u)];
        for (var i = 0u; i < ROWS; i++) {
            let pixel = pixel0 + 4u * (my_row_quad + i / 4u * THREADS_M) + i % 4u;
            if pixel < pixels && vector < vectors {
                let z = sum[i][j] + offset;
                // Not max: that may turn a NaN into 0.
                let cut = select(z, vec4f(), (z < vec4f()) & vec4<bool>(relu == 1u));
                y[pixel * vectors + vector] = vec4<StoredY>(cut);
            }
        }
    }
}
