// Convolution with bias, optional ReLU and a max pool of 2x2: an implicit matrix product in registers alone, in which
// the lanes of a subgroup load different pixels and hand them to each other.
// ky, kx number the taps of the kernel, c the channels in fours; a subgroup of LANES_N threads makes 4 * VECTORS *
// LANES_N channels of the maxima of PIXELS pixels, every four of which are a window of the pool; its lanes lie along
// the filters.
// Windows and filters beyond the edge repeat the last ones and are not stored, so no load needs a branch.
// Rust: crates/kernels/src/conv2d_pool_subgroup.rs

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
const VECTORS: u32 = 2u;
const LOADS: u32 = PIXELS / LANES_N;
const TILE_VECTORS: u32 = LANES_N * VECTORS;

alias StoredX = f32; // or f16
alias StoredY = f32; // or f16

@group(0) @binding(0) var<storage, read> x: array<vec4<StoredX>>; // [batch, height, width, channels]
@group(0) @binding(1) var<storage, read> weight: array<vec4f>; // [kernel_height, kernel_width, channels, filters]
@group(0) @binding(2) var<storage, read> bias: array<vec4f>; // [filters]
@group(0) @binding(3) var<storage, read_write> y: array<vec4<StoredY>>; // [batch, out_height/2, out_width/2, filters]
@group(0) @binding(4) var<storage, read_write> winner: array<u32>; // [batch, out_height/2, out_width/2, filters/4]

// As in max_pool, a NaN wins; by its bits, because a comparison may assume that there is none.
fn wins(z: vec4f, best: vec4f) -> vec4<bool> {
    return (z > best) | ((bitcast<vec4u>(z) & vec4u(0x7fffffffu)) > vec4u(0x7f800000u));
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let filter_vectors = filters / 4u;
    let channel_vectors = channels / 4u;
    let pool_height = out_height / 2u;
    let pool_width = out_width / 2u;
    let maxima = batch * pool_height * pool_width;
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
        let pixel = pixel0 + i * LANES_N + lane;
        let maximum = min(pixel / 4u, maxima - 1u);
        let oy = maximum / pool_width % pool_height * 2u + pixel % 4u / 2u;
        let ox = maximum % pool_width * 2u + pixel % 2u;
        row0[i] = oy * stride_height - pad_top;
        column0[i] = ox * stride_width - pad_left;
        first[i] = (maximum / (pool_width * pool_height) * height + row0[i]) * width + column0[i];
    }
    var vector: array<u32, VECTORS>;
    for (var j = 0u; j < VECTORS; j++) {
        vector[j] = min(vector0 + j * LANES_N, filter_vectors - 1u);
    }

    var sum: array<array<vec4f, VECTORS>, PIXELS>;
    for (var ky = 0u; ky < kernel_height; ky++) {
        for (var kx = 0u; kx < kernel_width; kx++) {
            var at: array<u32, LOADS>;
            var inside: array<bool, LOADS>;
            for (var i = 0u; i < LOADS; i++) {
                inside[i] = !padded || (row0[i] + ky < height && column0[i] + kx < width);
                at[i] = select(0u, first[i] + ky * width + kx, inside[i]) * channel_vectors;
            }
            let tap = (ky * kernel_width + kx) * channels * filter_vectors;
            for (var c = 0u; c < channel_vectors; c++) {
                var weights: array<array<vec4f, VECTORS>, 4>;
                for (var j = 0u; j < VECTORS; j++) {
                    let start = tap + 4u * c * filter_vectors + vector[j];
                    weights[0][j] = weight[start];
                    weights[1][j] = weight[start + filter_vectors];
                    weights[2][j] = weight[start + 2u * filter_vectors];
                    weights[3][j] = weight[start + 3u * filter_vectors];
                }
                for (var i = 0u; i < LOADS; i++) {
                    let own = select(vec4f(), vec4f(x[at[i] + c]), inside[i]);
                    for (var l = 0u; l < LANES_N; l++) {
                        let value = subgroupShuffle(own, l);
                        for (var j = 0u; j < VECTORS; j++) {
                            // One after the other: the order of the sum is the same in every variant.
                            sum[i * LANES_N + l][j] += value.x * weights[0][j];
                            sum[i * LANES_N + l][j] += value.y * weights[1][j];
                            sum[i * LANES_N + l][j] += value.z * weights[2][j];
                            sum[i * LANES_N + l][j] += value.w * weights[3][j];
                        }
                    }
                }
            }
        }
    }

    for (var j = 0u; j < VECTORS; j++) {
        let biases = bias[vector[j]];
        for (var i = 0u; i < PIXELS; i += 4u) {
            var best = sum[i][j] + biases;
            var place = vec4u();
            for (var q = 1u; q < 4u; q++) {
                let z = sum[i + q][j] + biases;
                place = select(place, vec4u(q), wins(z, best));
                best = select(best, z, wins(z, best));
            }
            if relu == 1u {
                place = select(place, vec4u(4u), best <= vec4f());
                best = select(best, vec4f(), best <= vec4f());
            }
            let maximum = (pixel0 + i) / 4u;
            if maximum < maxima && vector0 + j * LANES_N < filter_vectors {
                let out = maximum * filter_vectors + vector[j];
                y[out] = vec4<StoredY>(best);
                winner[out] = place.x | (place.y << 8u) | (place.z << 16u) | (place.w << 24u);
            }
        }
    }
}
