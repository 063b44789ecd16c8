// Convolution with bias, optional ReLU and a max pool of 2x2: an implicit matrix product in registers alone, with four
// elements to a load, in blocks of 4x4 that need no arrays: some compilers keep arrays in memory.
// ky, kx number the taps of the kernel, c the channels in fours; a thread makes 8 filters of 2 maxima. The four pixels
// under a maximum are the rows of its blocks. LANES_N neighbouring threads lie along the filters, the next ones further
// along the maxima of all images.
// Maxima and filters beyond the edge repeat the last ones and are not stored, so no load needs a branch.
// Rust: crates/kernels/src/conv2d_pool_vec4.rs

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

const WORKGROUP: u32 = 8u;
const LANES_N: u32 = 4u;

alias StoredX = f32; // or f16
alias StoredY = f32; // or f16

@group(0) @binding(0) var<storage, read> x: array<vec4<StoredX>>; // [batch, height, width, channels]
@group(0) @binding(1) var<storage, read> weight: array<vec4f>; // [kernel_height, kernel_width, channels, filters]
@group(0) @binding(2) var<storage, read> bias: array<vec4f>; // [filters]
@group(0) @binding(3) var<storage, read_write> y: array<vec4<StoredY>>; // [batch, out_height/2, out_width/2, filters]
@group(0) @binding(4) var<storage, read_write> winner: array<u32>; // [batch, out_height/2, out_width/2, filters/4]

// The windows of four pixels; what lies before the image wraps around to huge positions, so that one comparison finds
// padding on either side.
struct Windows {
    row: vec4u,
    column: vec4u,
    start: vec4u,
}

fn windows_of(maximum0: u32) -> Windows {
    let pool_width = out_width / 2u;
    let pool_height = out_height / 2u;
    let maximum = min(maximum0, batch * pool_height * pool_width - 1u);
    let oy = vec4u(0u, 0u, 1u, 1u) + maximum / pool_width % pool_height * 2u;
    let ox = vec4u(0u, 1u, 0u, 1u) + maximum % pool_width * 2u;
    let row = oy * stride_height - pad_top;
    let column = ox * stride_width - pad_left;
    return Windows(row, column, (row + maximum / (pool_width * pool_height) * height) * width + column);
}

// What one tap of the kernel meets in four windows: pixels of the images, and whether there are any.
struct Tap {
    pixel: vec4u,
    inside: vec4<bool>,
}

fn tap_of(windows: Windows, ky: u32, kx: u32) -> Tap {
    // A constant, so that most layers check nothing.
    let padded = pad_top > 0u || pad_left > 0u || (out_height - 1u) * stride_height + kernel_height > height
        || (out_width - 1u) * stride_width + kernel_width > width;
    let in_image = (windows.row + ky < vec4u(height)) & (windows.column + kx < vec4u(width));
    let inside = vec4<bool>(!padded) | in_image;
    return Tap(select(vec4u(), windows.start + ky * width + kx, inside), inside);
}

// Four channels of four pixels: a vector per pixel.
fn values_of(tap: Tap, c: u32) -> mat4x4f {
    let at = tap.pixel * (channels / 4u) + c;
    return mat4x4f(
        select(vec4f(), vec4f(x[at.x]), tap.inside.x),
        select(vec4f(), vec4f(x[at.y]), tap.inside.y),
        select(vec4f(), vec4f(x[at.z]), tap.inside.z),
        select(vec4f(), vec4f(x[at.w]), tap.inside.w),
    );
}

// Four filters of four channels: a vector per channel.
fn weights_of(start: u32, vector: u32) -> mat4x4f {
    let at = start * (filters / 4u) + vector;
    return mat4x4f(weight[at], weight[at + filters / 4u], weight[at + filters / 2u], weight[at + 3u * (filters / 4u)]);
}

// One after the other: the order of the sum is the same in every variant.
fn fold(sum: vec4f, values: vec4f, weights: mat4x4f) -> vec4f {
    return sum + values.x * weights[0] + values.y * weights[1] + values.z * weights[2] + values.w * weights[3];
}

fn fold_block(sums: mat4x4f, values: mat4x4f, weights: mat4x4f) -> mat4x4f {
    return mat4x4f(
        fold(sums[0], values[0], weights),
        fold(sums[1], values[1], weights),
        fold(sums[2], values[2], weights),
        fold(sums[3], values[3], weights),
    );
}

// The best pixels so far, and their places in the window.
struct Best {
    z: vec4f,
    place: vec4u,
}

fn better(best: Best, z: vec4f, place: u32) -> Best {
    return Best(select(best.z, z, wins(z, best.z)), select(best.place, vec4u(place), wins(z, best.z)));
}

fn store_block(maximum: u32, vector: u32, sums: mat4x4f) {
    if maximum >= batch * (out_height / 2u) * (out_width / 2u) || vector >= filters / 4u {
        return;
    }
    let biases = bias[vector];
    var best = Best(sums[0] + biases, vec4u());
    best = better(best, sums[1] + biases, 1u);
    best = better(best, sums[2] + biases, 2u);
    best = better(best, sums[3] + biases, 3u);
    if relu == 1u {
        best = Best(select(best.z, vec4f(), best.z <= vec4f()), select(best.place, vec4u(4u), best.z <= vec4f()));
    }
    let at = maximum * (filters / 4u) + vector;
    y[at] = vec4<StoredY>(best.z);
    winner[at] = best.place.x | (best.place.y << 8u) | (best.place.z << 16u) | (best.place.w << 24u);
}

// As in max_pool, a NaN wins; by its bits, because a comparison may assume that there is none.
fn wins(z: vec4f, best: vec4f) -> vec4<bool> {
    return (z > best) | ((bitcast<vec4u>(z) & vec4u(0x7fffffffu)) > vec4u(0x7f800000u));
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let vector0 = group.x * 2u * LANES_N + lane % LANES_N;
    let vector1 = vector0 + LANES_N;
    let left = min(vector0, filters / 4u - 1u);
    let right = min(vector1, filters / 4u - 1u);
    let tile = group.z * groups.y + group.y;
    let maximum0 = (tile * (WORKGROUP / LANES_N) + lane / LANES_N) * 2u;
    let maximum1 = maximum0 + 1u;
    let top = windows_of(maximum0);
    let bottom = windows_of(maximum1);

    var top_left = mat4x4f();
    var top_right = mat4x4f();
    var bottom_left = mat4x4f();
    var bottom_right = mat4x4f();
    for (var ky = 0u; ky < kernel_height; ky++) {
        for (var kx = 0u; kx < kernel_width; kx++) {
            let top_tap = tap_of(top, ky, kx);
            let bottom_tap = tap_of(bottom, ky, kx);
            let start = (ky * kernel_width + kx) * channels;
            for (var c = 0u; c < channels / 4u; c++) {
                let weights_left = weights_of(start + 4u * c, left);
                let weights_right = weights_of(start + 4u * c, right);
                let values_top = values_of(top_tap, c);
                top_left = fold_block(top_left, values_top, weights_left);
                top_right = fold_block(top_right, values_top, weights_right);
                let values_bottom = values_of(bottom_tap, c);
                bottom_left = fold_block(bottom_left, values_bottom, weights_left);
                bottom_right = fold_block(bottom_right, values_bottom, weights_right);
            }
        }
    }

    store_block(maximum0, vector0, top_left);
    store_block(maximum0, vector1, top_right);
    store_block(maximum1, vector0, bottom_left);
    store_block(maximum1, vector1, bottom_right);
}
