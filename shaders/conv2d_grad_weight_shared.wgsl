// Gradient of a convolution's weights and of its bias, in shares of the output's lines, as a matrix product through
// workgroup memory.
// Rows of the product are the taps ky, kx of the kernel and the channels c, columns the filters f, the inner index runs over
// the pixels of a share. A workgroup makes a BLOCK_M x BLOCK_N tile, a thread ROWS x COLUMNS of its elements, as in
// matmul_shared. Whoever stages dz takes, with pooled, the gradient only where the pixel won. The workgroups of the first
// rows add up the bias, and one of them clears the gap before it.
// A quad of the tile's rows is quad + {0, 1, 2, 3} * QUADS_M: neighbouring threads load neighbouring channels.
// Positions before the image wrap around to huge ones, so one comparison finds padding on either side.
// Rust: crates/kernels/src/conv2d_grad_weight_shared.rs

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
override pooled: u32;
override splits: u32;
override bias_offset: u32;

const WORKGROUP: u32 = 64u;
const BLOCK_M: u32 = 32u;
const BLOCK_N: u32 = 64u;
const BLOCK_K: u32 = 8u;
const ROWS: u32 = 8u;
const COLUMNS: u32 = 4u;

const QUADS_M: u32 = BLOCK_M / 4u;
const QUADS_N: u32 = BLOCK_N / 4u;
const THREADS_M: u32 = BLOCK_M / ROWS;
const THREADS_N: u32 = BLOCK_N / COLUMNS;
const ROW_QUADS: u32 = ROWS / 4u;
const COLUMN_QUADS: u32 = COLUMNS / 4u;
const X_LOADS: u32 = BLOCK_K * QUADS_M / WORKGROUP;
const D_LOADS: u32 = BLOCK_K * QUADS_N / WORKGROUP;
// Inner indices from one load of a thread to the next.
const X_STEP: u32 = WORKGROUP / QUADS_M;
const D_STEP: u32 = WORKGROUP / QUADS_N;
// No place within a window of the pool.
const NOWHERE: u32 = 255u;

override lines: u32 = batch * out_height;
override share: u32 = (lines + splits - 1u) / splits;
override rows: u32 = kernel_height * kernel_width * channels;
override vectors: u32 = filters / 4u;
override dy_height: u32 = out_height >> pooled;
override dy_width: u32 = out_width >> pooled;
// Every share has the same number of lines and full tiles.
override whole: bool = lines % splits == 0u && share * out_width % BLOCK_K == 0u;
// Every window lies within the image.
override inside: bool = pad_top == 0u && pad_left == 0u
    && (out_height - 1u) * stride_height + kernel_height <= height
    && (out_width - 1u) * stride_width + kernel_width <= width;

alias StoredX = f32; // or f16
alias StoredDy = f32; // or f16

@group(0) @binding(0) var<storage, read> x: array<StoredX>; // [batch, height, width, channels]
@group(0) @binding(1) var<storage, read> dy: array<vec4<StoredDy>>; // [batch, out_height, out_width, filters], half if pooled
@group(0) @binding(2) var<storage, read> winner: array<u32>; // [batch, out_height/2, out_width/2, filters/4] if pooled
@group(0) @binding(3) var<storage, read_write> grad: array<f32>; // [splits, bias_offset + filters]

var<workgroup> x_tile: array<vec4f, BLOCK_K * QUADS_M>; // [BLOCK_K, QUADS_M]
var<workgroup> d_tile: array<vec4f, BLOCK_K * QUADS_N>; // [BLOCK_K, QUADS_N]

// Four elements of a window: their places in it and, from its first element, in x.
struct Taps {
    ky: vec4u,
    kx: vec4u,
    offset: vec4u,
}

// Rows past the end repeat the last one; they are not stored.
fn taps_of(row: vec4u) -> Taps {
    let at = min(row, vec4u(rows - 1u));
    let tap = at / channels;
    let ky = tap / kernel_width;
    let kx = tap - ky * kernel_width;
    return Taps(ky, kx, (ky * width + kx) * channels + at - tap * channels);
}

// Values as they were loaded, and which of them count. They are only looked at when they are staged, since whoever looks at
// a value waits for it.
struct Elements {
    value: vec4f,
    valid: vec4<bool>,
}

// Past the last pixel it is repeated; dz is 0 there.
fn load_x(taps: Taps, index: u32, last: u32) -> Elements {
    let pixel = select(min(index, last - 1u), index, whole);
    let line = pixel / out_width;
    let image = line / out_height;
    // The window's first element is linear in pixel, line and image; with the constants folded that is three multiplications.
    let corner = pixel * (stride_width * channels)
        + line * ((stride_height * width - out_width * stride_width) * channels)
        + image * ((height - out_height * stride_height) * width * channels)
        - (pad_top * width + pad_left) * channels;
    var i = corner + taps.offset;
    var valid = vec4<bool>(true);
    if !inside {
        let row = (line - image * out_height) * stride_height - pad_top;
        let column = (pixel - line * out_width) * stride_width - pad_left;
        valid &= row + taps.ky < vec4u(height);
        valid &= column + taps.kx < vec4u(width);
        i = select(vec4u(), i, valid);
    }
    return Elements(vec4f(vec4<StoredX>(x[i.x], x[i.y], x[i.z], x[i.w])), valid);
}

// Four filters of dz, before the winners are picked.
struct Gradients {
    dy: vec4f,
    winner: u32,
    place: u32,
}

fn load_dz(index: u32, vector: u32, last: u32) -> Gradients {
    let pixel = select(min(index, last - 1u), index, whole);
    var valid = whole | (index < last);
    if pooled == 0u {
        return Gradients(vec4f(dy[pixel * vectors + vector]), 0u, select(NOWHERE, 0u, valid));
    }
    let line = pixel / out_width;
    let image = line / out_height;
    let oy = line - image * out_height;
    let ox = pixel - line * out_width;
    // An odd last row or column has no window; the last one stands in for its address.
    var py = oy / 2u;
    var px = ox / 2u;
    if out_height % 2u == 1u {
        valid &= py < dy_height;
        py = min(py, dy_height - 1u);
    }
    if out_width % 2u == 1u {
        valid &= px < dy_width;
        px = min(px, dy_width - 1u);
    }
    let i = ((image * dy_height + py) * dy_width + px) * vectors + vector;
    return Gradients(vec4f(dy[i]), winner[i], select(NOWHERE, oy % 2u * 2u + ox % 2u, valid));
}

fn expanded(loaded: Gradients) -> vec4f {
    if pooled == 0u {
        return select(vec4f(), loaded.dy, loaded.place == 0u);
    }
    let word = loaded.winner;
    let won = vec4u(word, word >> 8u, word >> 16u, word >> 24u) & vec4u(255u);
    return select(vec4f(), loaded.dy, won == vec4u(loaded.place));
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    let row0 = group.y * BLOCK_M;
    let vector0 = group.x * QUADS_N;
    let first = min(group.z * share, lines) * out_width;
    let last = min(group.z * share + share, lines) * out_width;

    let x_inner = thread / QUADS_M;
    let x_quad = thread % QUADS_M;
    let d_inner = thread / QUADS_N;
    let d_quad = thread % QUADS_N;
    let d_vector = min(vector0 + d_quad, vectors - 1u);
    let taps = taps_of(row0 + x_quad + vec4u(0u, 1u, 2u, 3u) * QUADS_M);
    var x_next: array<Elements, X_LOADS>;
    for (var i = 0u; i < X_LOADS; i++) {
        x_next[i] = load_x(taps, first + x_inner + i * X_STEP, last);
    }
    var d_next: array<Gradients, D_LOADS>;
    for (var i = 0u; i < D_LOADS; i++) {
        d_next[i] = load_dz(first + d_inner + i * D_STEP, d_vector, last);
    }

    let my_row_quad = thread / THREADS_N;
    let my_column_quad = thread % THREADS_N;
    var sum: array<array<vec4f, COLUMN_QUADS>, ROWS>;
    var bias_sum = 0.0;
    for (var p0 = first; p0 < last; p0 += BLOCK_K) {
        workgroupBarrier();
        for (var i = 0u; i < X_LOADS; i++) {
            x_tile[(x_inner + i * X_STEP) * QUADS_M + x_quad] = select(vec4f(), x_next[i].value, x_next[i].valid);
        }
        for (var i = 0u; i < D_LOADS; i++) {
            d_tile[(d_inner + i * D_STEP) * QUADS_N + d_quad] = expanded(d_next[i]);
        }
        workgroupBarrier();

        // The next tile is on its way from memory to registers while this one is in work.
        let p1 = p0 + BLOCK_K;
        if p1 < last {
            for (var i = 0u; i < X_LOADS; i++) {
                x_next[i] = load_x(taps, p1 + x_inner + i * X_STEP, last);
            }
            for (var i = 0u; i < D_LOADS; i++) {
                d_next[i] = load_dz(p1 + d_inner + i * D_STEP, d_vector, last);
            }
        }

        for (var p = 0u; p < BLOCK_K; p++) {
            let x_line = p * QUADS_M + my_row_quad;
            let d_line = p * QUADS_N + my_column_quad;
            var d_row: array<vec4f, COLUMN_QUADS>;
            for (var j = 0u; j < COLUMN_QUADS; j++) {
                d_row[j] = d_tile[d_line + j * THREADS_N];
            }
            for (var i = 0u; i < ROW_QUADS; i++) {
                let x_rows = x_tile[x_line + i * THREADS_M];
                for (var j = 0u; j < COLUMN_QUADS; j++) {
                    sum[4u * i][j] += x_rows.x * d_row[j];
                    sum[4u * i + 1u][j] += x_rows.y * d_row[j];
                    sum[4u * i + 2u][j] += x_rows.z * d_row[j];
                    sum[4u * i + 3u][j] += x_rows.w * d_row[j];
                }
            }
        }
        if group.y == 0u && thread < BLOCK_N {
            for (var p = 0u; p < BLOCK_K; p++) {
                bias_sum += d_tile[p * QUADS_N + thread / 4u][thread % 4u];
            }
        }
    }

    let start = group.z * (bias_offset + filters);
    for (var i = 0u; i < ROWS; i++) {
        let row = row0 + my_row_quad + i / 4u * THREADS_M + i % 4u * QUADS_M;
        for (var j = 0u; j < COLUMN_QUADS; j++) {
            let vector = vector0 + my_column_quad + j * THREADS_N;
            if row < rows && vector < vectors {
                let at = start + row * filters + 4u * vector;
                grad[at] = sum[i][j].x;
                grad[at + 1u] = sum[i][j].y;
                grad[at + 2u] = sum[i][j].z;
                grad[at + 3u] = sum[i][j].w;
            }
        }
    }
    if group.y == 0u && thread < BLOCK_N && 4u * vector0 + thread < filters {
        grad[start + bias_offset + 4u * vector0 + thread] = bias_sum;
    }
    if group.x == 0u && group.y == 0u {
        for (var i = rows * filters + thread; i < bias_offset; i += WORKGROUP) {
            grad[start + i] = 0.0;
        }
    }
}
