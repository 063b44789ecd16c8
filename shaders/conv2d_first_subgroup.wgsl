// Convolution with bias, optionally followed by a ReLU, for images of few channels: the lanes of a subgroup load
// different pixels and hand them to each other.
// A term is one channel c of one tap (ky, kx) of the kernel; a subgroup of LANES_N threads makes PIXELS x (4 * VECTORS
// * LANES_N) elements of y, its lanes lie along the filters. TERMS terms are written out, and if there are no more,
// nothing is a loop any more: loads outside of loops are far cheaper on adapters that emulate lanes.
// Pixels, filters and terms beyond the edge repeat the last ones and are not stored or count as 0, so no load needs a
// branch.
// Rust: crates/kernels/src/conv2d_first_subgroup.rs

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
const LANES_N: u32 = 8u;
const PIXELS: u32 = 16u;
const VECTORS: u32 = 1u;
const TERMS: u32 = 9u;
const LOADS: u32 = PIXELS / LANES_N;
const TILE_VECTORS: u32 = LANES_N * VECTORS;

alias StoredX = f32; // or f16
alias StoredY = f32; // or f16

@group(0) @binding(0) var<storage, read> x: array<StoredX>; // [batch, height, width, channels]
@group(0) @binding(1) var<storage, read> weight: array<vec4f>; // [kernel_height, kernel_width, channels, filters]
@group(0) @binding(2) var<storage, read> bias: array<vec4f>; // [filters]
@group(0) @binding(3) var<storage, read_write> y: array<vec4<StoredY>>; // [batch, out_height, out_width, filters]

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let filter_vectors = filters / 4u;
    let terms = kernel_height * kernel_width * channels;
    let pixels = batch * out_height * out_width;
    // Whether any window reaches beyond its image; a constant, so that most layers check nothing.
    let padded = pad_top > 0u || pad_left > 0u || (out_height - 1u) * stride_height + kernel_height > height
        || (out_width - 1u) * stride_width + kernel_width > width;

    let vector0 = group.x * TILE_VECTORS + lane;
    let pixel0 = (group.z * groups.y + group.y) * PIXELS;

    // Positions before the image wrap around to huge ones, so one comparison finds padding on either side.
    var row0: array<u32, LOADS>;
    var column0: array<u32, LOADS>;
    var first: array<u32, LOADS>;
    for (var i = 0u; i < LOADS; i++) {
        let pixel = min(pixel0 + i * LANES_N + lane, pixels - 1u);
        row0[i] = pixel / out_width % out_height * stride_height - pad_top;
        column0[i] = pixel % out_width * stride_width - pad_left;
        first[i] = (pixel / (out_width * out_height) * height + row0[i]) * width + column0[i];
    }
    var vector: array<u32, VECTORS>;
    for (var j = 0u; j < VECTORS; j++) {
        vector[j] = min(vector0 + j * LANES_N, filter_vectors - 1u);
    }

    var sum: array<array<vec4f, VECTORS>, PIXELS>;
    var term0 = 0u;
    loop {
        var weights: array<array<vec4f, VECTORS>, TERMS>;
        for (var q = 0u; q < TERMS; q++) {
            for (var j = 0u; j < VECTORS; j++) {
                weights[q][j] = weight[min(term0 + q, terms - 1u) * filter_vectors + vector[j]];
            }
        }
        for (var q = 0u; q < TERMS; q++) {
            let term = term0 + q;
            let c = term % channels;
            let kx = term / channels % kernel_width;
            let ky = term / (channels * kernel_width);
            for (var i = 0u; i < LOADS; i++) {
                let image = !padded || (row0[i] + ky < height && column0[i] + kx < width);
                let inside = image && (terms % TERMS == 0u || term < terms);
                let own = select(0.0, f32(x[select(0u, (first[i] + ky * width + kx) * channels + c, inside)]), inside);
                for (var l = 0u; l < LANES_N; l++) {
                    let value = subgroupShuffle(own, l);
                    for (var j = 0u; j < VECTORS; j++) {
                        sum[i * LANES_N + l][j] += value * weights[q][j];
                    }
                }
            }
        }
        // Left at the end, so that drivers see that there is but one round.
        term0 += TERMS;
        if term0 >= terms {
            break;
        }
    }

    for (var j = 0u; j < VECTORS; j++) {
        let biases = bias[vector[j]];
        for (var i = 0u; i < PIXELS; i++) {
            let z = sum[i][j] + biases;
            if pixel0 + i < pixels && vector0 + j * LANES_N < filter_vectors {
                // Not max: that may turn a NaN into 0.
                let cut = select(z, vec4f(), (z < vec4f()) & vec4<bool>(relu == 1u));
                y[(pixel0 + i) * filter_vectors + vector[j]] = vec4<StoredY>(cut);
            }
        }
    }
}
