// Convolution with bias, optionally followed by a ReLU, for images of few channels: four filters to a load, one
// channel, in blocks of 4x4 that need no arrays: some compilers keep arrays in memory.
// ky, kx number the taps of the kernel, c the channels; a thread makes 8 pixels x 8 filters of y, as two by two blocks.
// LANES_N neighbouring threads lie along the filters, the next ones further along the pixels of all images.
// Pixels and filters beyond the edge repeat the last ones and are not stored, so no load needs a branch.
// Rust: crates/kernels/src/conv2d_first.rs

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

@group(0) @binding(0) var<storage, read> x: array<StoredX>; // [batch, height, width, channels]
@group(0) @binding(1) var<storage, read> weight: array<vec4f>; // [kernel_height, kernel_width, channels, filters]
@group(0) @binding(2) var<storage, read> bias: array<vec4f>; // [filters]
@group(0) @binding(3) var<storage, read_write> y: array<vec4<StoredY>>; // [batch, out_height, out_width, filters]

// The windows of four pixels; what lies before the image wraps around to huge positions, so that one comparison finds
// padding on either side.
struct Windows {
    row: vec4u,
    column: vec4u,
    start: vec4u,
}

fn windows_of(pixel0: u32) -> Windows {
    let pixel = min(vec4u(pixel0) + vec4u(0u, 1u, 2u, 3u), vec4u(batch * out_height * out_width - 1u));
    let row = pixel / out_width % out_height * stride_height - pad_top;
    let column = pixel % out_width * stride_width - pad_left;
    return Windows(row, column, (pixel / (out_width * out_height) * height + row) * width + column);
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

// One channel of four pixels.
fn values_of(tap: Tap, c: u32) -> vec4f {
    let at = select(vec4u(), tap.pixel * channels + c, tap.inside);
    return select(vec4f(), vec4f(vec4<StoredX>(x[at.x], x[at.y], x[at.z], x[at.w])), tap.inside);
}

fn fold_block(sums: mat4x4f, values: vec4f, weights: vec4f) -> mat4x4f {
    return mat4x4f(
        sums[0] + values.x * weights,
        sums[1] + values.y * weights,
        sums[2] + values.z * weights,
        sums[3] + values.w * weights,
    );
}

fn store(pixel: u32, vector: u32, sum: vec4f) {
    if pixel < batch * out_height * out_width && vector < filters / 4u {
        let z = sum + bias[vector];
        // Not max: that may turn a NaN into 0.
        let cut = select(z, vec4f(), (z < vec4f()) & vec4<bool>(relu == 1u));
        y[pixel * (filters / 4u) + vector] = vec4<StoredY>(cut);
    }
}

fn store_block(pixel0: u32, vector: u32, sums: mat4x4f) {
    store(pixel0, vector, sums[0]);
    store(pixel0 + 1u, vector, sums[1]);
    store(pixel0 + 2u, vector, sums[2]);
    store(pixel0 + 3u, vector, sums[3]);
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
    let pixel0 = (tile * (WORKGROUP / LANES_N) + lane / LANES_N) * 8u;
    let pixel1 = pixel0 + 4u;
    let top = windows_of(pixel0);
    let bottom = windows_of(pixel1);

    var top_left = mat4x4f();
    var top_right = mat4x4f();
    var bottom_left = mat4x4f();
    var bottom_right = mat4x4f();
    for (var ky = 0u; ky < kernel_height; ky++) {
        for (var kx = 0u; kx < kernel_width; kx++) {
            let top_tap = tap_of(top, ky, kx);
            let bottom_tap = tap_of(bottom, ky, kx);
            let start = (ky * kernel_width + kx) * channels;
            for (var c = 0u; c < channels; c++) {
                let weights_left = weight[(start + c) * (filters / 4u) + left];
                let weights_right = weight[(start + c) * (filters / 4u) + right];
                let values_top = values_of(top_tap, c);
                top_left = fold_block(top_left, values_top, weights_left);
                top_right = fold_block(top_right, values_top, weights_right);
                let values_bottom = values_of(bottom_tap, c);
                bottom_left = fold_block(bottom_left, values_bottom, weights_left);
                bottom_right = fold_block(bottom_right, values_bottom, weights_right);
            }
        }
    }

    store_block(pixel0, vector0, top_left);
    store_block(pixel0, vector1, top_right);
    store_block(pixel1, vector0, bottom_left);
    store_block(pixel1, vector1, bottom_right);
}
