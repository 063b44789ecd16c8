// Gradient of a convolution's images, as a matrix product through workgroup memory.
// Rows of the product are the pixels of the images, columns the channels c, the inner index runs over the taps ky, kx of the
// kernel and the filters f. A workgroup makes a BLOCK_M x BLOCK_N tile, a thread ROWS x COLUMNS of its elements, as in
// matmul_shared. Each tap takes a whole number of tiles, so that all threads are at the same tap. Whoever stages dz finds
// the window that meets the pixel there and, with pooled, takes the gradient only where it won.
// Positions before the image wrap around to huge ones, so one comparison finds padding on either side.
// Rust: crates/kernels/src/conv2d_grad_input_shared.rs

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
override relu: u32;

const WORKGROUP: u32 = 64u;
const BLOCK_M: u32 = 64u;
const BLOCK_N: u32 = 32u;
const BLOCK_K: u32 = 16u;
const ROWS: u32 = 8u;
const COLUMNS: u32 = 4u;

const QUADS_M: u32 = BLOCK_M / 4u;
const QUADS_N: u32 = BLOCK_N / 4u;
const QUADS_K: u32 = BLOCK_K / 4u;
// One more, so that threads that stage along the inner index write to different banks.
const STRIDE_M: u32 = QUADS_M + 1u;
const STRIDE_N: u32 = QUADS_N + 1u;
const THREADS_M: u32 = BLOCK_M / ROWS;
const THREADS_N: u32 = BLOCK_N / COLUMNS;
const ROW_QUADS: u32 = ROWS / 4u;
const COLUMN_QUADS: u32 = COLUMNS / 4u;
// Four pixels by four filters each; some tiles have fewer than threads.
const D_UNITS: u32 = QUADS_M * QUADS_K;
const W_LOADS: u32 = BLOCK_K * QUADS_N / WORKGROUP;
// No place within a window of the pool.
const NOWHERE: u32 = 255u;

override pixels: u32 = batch * height * width;
override vectors: u32 = filters / 4u;
override dy_height: u32 = out_height >> pooled;
override dy_width: u32 = out_width >> pooled;
// Tiles of a tap, and of all taps.
override chunks: u32 = (filters + BLOCK_K - 1u) / BLOCK_K;
override tiles: u32 = kernel_height * kernel_width * chunks;
// Every tile is full along the filters.
override whole: bool = filters % BLOCK_K == 0u;

alias StoredDy = f32; // or f16
alias StoredX = f32; // or f16
alias StoredDx = f32; // or f16

@group(0) @binding(0) var<storage, read> dy: array<vec4<StoredDy>>; // [batch, out_height, out_width, filters], half if pooled
@group(0) @binding(1) var<storage, read> winner: array<u32>; // [batch, out_height/2, out_width/2, filters/4] if pooled
@group(0) @binding(2) var<storage, read> weight: array<f32>; // [kernel_height, kernel_width, channels, filters]
@group(0) @binding(3) var<storage, read> x: array<StoredX>; // [batch, height, width, channels] if relu
@group(0) @binding(4) var<storage, read_write> dx: array<StoredDx>; // [batch, height, width, channels]

var<workgroup> d_tile: array<vec4f, BLOCK_K * STRIDE_M>; // [BLOCK_K, QUADS_M + 1]
var<workgroup> w_tile: array<vec4f, BLOCK_K * STRIDE_N>; // [BLOCK_K, QUADS_N + 1]

// Four pixels of the padded images, and the first element of their image in dy.
struct Pixels {
    row: vec4u,
    column: vec4u,
    start: vec4u,
}

// Pixels past the end repeat the last one; they are not stored.
fn pixels_of(pixel0: u32) -> Pixels {
    let pixel = min(pixel0 + vec4u(0u, 1u, 2u, 3u), vec4u(pixels - 1u));
    let line = pixel / width;
    let image = line / height;
    return Pixels(line - image * height + pad_top, pixel - line * width + pad_left, image * (dy_height * dy_width));
}

// What was loaded of dz: four filters in each column, of the windows that meet four pixels. It is expanded only when it is
// staged, since whoever looks at a value waits for it.
struct Loaded {
    dy: mat4x4f,
    winner: vec4u,
    place: vec4u,
}

fn load_dz(at: Pixels, tile: u32, quad: u32) -> Loaded {
    let tap = tile / chunks;
    let ky = tap / kernel_width;
    let kx = tap - ky * kernel_width;
    let vector = (tile - tap * chunks) * QUADS_K + quad;
    let row = at.row - ky;
    let column = at.column - kx;
    let oy = row / stride_height;
    let ox = column / stride_width;
    // Whatever a row before the first window wraps around to lies beyond the last one, even divided by the stride.
    var valid = vec4<bool>(whole | (vector < vectors));
    valid &= oy >> vec4u(pooled) < vec4u(dy_height);
    valid &= ox >> vec4u(pooled) < vec4u(dy_width);
    if stride_height > 1u {
        valid &= oy * stride_height == row;
    }
    if stride_width > 1u {
        valid &= ox * stride_width == column;
    }
    let pixel = at.start + (oy >> vec4u(pooled)) * dy_width + (ox >> vec4u(pooled));
    let i = select(vec4u(), pixel * vectors + vector, valid);
    var winners = vec4u();
    var place = vec4u();
    if pooled == 1u {
        winners = vec4u(winner[i.x], winner[i.y], winner[i.z], winner[i.w]);
        place = oy % 2u * 2u + ox % 2u;
    }
    let gradients = mat4x4f(vec4f(dy[i.x]), vec4f(dy[i.y]), vec4f(dy[i.z]), vec4f(dy[i.w]));
    return Loaded(gradients, winners, select(vec4u(NOWHERE), place, valid));
}

fn expanded(dy: vec4f, word: u32, place: u32) -> vec4f {
    if pooled == 1u {
        let won = vec4u(word, word >> 8u, word >> 16u, word >> 24u) & vec4u(255u);
        return select(vec4f(), dy, won == vec4u(place));
    }
    return select(vec4f(), dy, place == 0u);
}

// Four channels at one filter; past the last one it is repeated, and dz is 0 there.
fn load_w(at: vec4u, tile: u32, inner: u32) -> vec4f {
    let tap = tile / chunks;
    let f0 = (tile - tap * chunks) * BLOCK_K;
    let f = select(min(f0 + inner, filters - 1u), f0 + inner, whole);
    let i = at + (tap * channels * filters + f);
    return vec4f(weight[i.x], weight[i.y], weight[i.z], weight[i.w]);
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) thread: u32,
) {
    // Rows of workgroups beyond what one dimension holds are counted in the third.
    let pixel0 = (group.z * groups.y + group.y) * BLOCK_M;
    let channel0 = group.x * BLOCK_N;

    // Neighbouring threads stage neighbouring filters.
    let d_quad = thread / QUADS_K % QUADS_M;
    let d_inner = thread % QUADS_K;
    let w_inner = thread % BLOCK_K;
    let w_quad = thread / BLOCK_K;
    let pixel = pixels_of(pixel0 + 4u * d_quad);
    var loaded = load_dz(pixel, 0u, d_inner);
    var w_at: array<vec4u, W_LOADS>;
    var w_next: array<vec4f, W_LOADS>;
    for (var i = 0u; i < W_LOADS; i++) {
        let quad = w_quad + i * (WORKGROUP / BLOCK_K);
        let channel = min(channel0 + quad + vec4u(0u, 1u, 2u, 3u) * QUADS_N, vec4u(channels - 1u));
        w_at[i] = channel * filters;
        w_next[i] = load_w(w_at[i], 0u, w_inner);
    }

    let my_row_quad = thread / THREADS_N;
    let my_column_quad = thread % THREADS_N;
    var sum: array<array<vec4f, COLUMN_QUADS>, ROWS>;
    for (var tile = 0u; tile < tiles; tile++) {
        workgroupBarrier();
        if D_UNITS >= WORKGROUP || thread < D_UNITS {
            let dz = transpose(mat4x4f(
                expanded(loaded.dy[0], loaded.winner.x, loaded.place.x),
                expanded(loaded.dy[1], loaded.winner.y, loaded.place.y),
                expanded(loaded.dy[2], loaded.winner.z, loaded.place.z),
                expanded(loaded.dy[3], loaded.winner.w, loaded.place.w),
            ));
            let at = 4u * d_inner * STRIDE_M + d_quad;
            d_tile[at] = dz[0];
            d_tile[at + STRIDE_M] = dz[1];
            d_tile[at + 2u * STRIDE_M] = dz[2];
            d_tile[at + 3u * STRIDE_M] = dz[3];
        }
        for (var i = 0u; i < W_LOADS; i++) {
            let at = w_inner * STRIDE_N + w_quad + i * (WORKGROUP / BLOCK_K);
            w_tile[at] = w_next[i];
        }
        workgroupBarrier();

        // The next tile is on its way from memory to registers while this one is in work.
        if tile + 1u < tiles {
            loaded = load_dz(pixel, tile + 1u, d_inner);
            for (var i = 0u; i < W_LOADS; i++) {
                w_next[i] = load_w(w_at[i], tile + 1u, w_inner);
            }
        }

        for (var p = 0u; p < BLOCK_K; p++) {
            let d_line = p * STRIDE_M + my_row_quad;
            let w_line = p * STRIDE_N + my_column_quad;
            var w_row: array<vec4f, COLUMN_QUADS>;
            for (var j = 0u; j < COLUMN_QUADS; j++) {
                w_row[j] = w_tile[w_line + j * THREADS_N];
            }
            for (var i = 0u; i < ROW_QUADS; i++) {
                let d_rows = d_tile[d_line + i * THREADS_M];
                for (var j = 0u; j < COLUMN_QUADS; j++) {
                    sum[4u * i][j] += d_rows.x * w_row[j];
                    sum[4u * i + 1u][j] += d_rows.y * w_row[j];
                    sum[4u * i + 2u][j] += d_rows.z * w_row[j];
                    sum[4u * i + 3u][j] += d_rows.w * w_row[j];
                }
            }
        }
    }

    for (var i = 0u; i < ROWS; i++) {
        let row = pixel0 + 4u * (my_row_quad + i / 4u * THREADS_M) + i % 4u;
        for (var j = 0u; j < COLUMNS; j++) {
            let channel = channel0 + my_column_quad + j / 4u * THREADS_N + j % 4u * QUADS_N;
            if row < pixels && channel < channels {
                let at = row * channels + channel;
                var z = sum[i][j / 4u][j % 4u];
                if relu == 1u {
                    z = select(0.0, z, f32(x[at]) > 0.0);
                }
                dx[at] = StoredDx(z);
            }
        }
    }
}
