// Gradient of a convolution's images, in registers alone, with loads that the lanes of a subgroup share.
// oy, ox number the windows, ky, kx their taps, c the channels, f the filters; a subgroup of LANES threads makes one pixel
// in LANES * GROUPS images, each thread 4 * VECTORS channels of it. Each thread loads the outputs' gradient of another image
// and hands it to all. They all look at the same pixel, so they all skip the taps whose window does not exist.
// Images and channels beyond the edge repeat the last ones and are not stored, so no load needs a branch.
// Rust: crates/kernels/src/conv2d_grad_input_subgroup.rs

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

const LANES: u32 = 8u;
const GROUPS: u32 = 2u;
const VECTORS: u32 = 2u;

alias StoredDy = f32; // or f16
alias StoredX = f32; // or f16
alias StoredDx = f32; // or f16

@group(0) @binding(0) var<storage, read> dy: array<vec4<StoredDy>>; // [batch, out_height, out_width, filters], half if pooled
@group(0) @binding(1) var<storage, read> winner: array<u32>; // [batch, out_height/2, out_width/2, filters/4] if pooled
@group(0) @binding(2) var<storage, read> weight: array<vec4f>; // [kernel_height, kernel_width, channels, filters]
@group(0) @binding(3) var<storage, read> x: array<vec4<StoredX>>; // [batch, height, width, channels] if relu
@group(0) @binding(4) var<storage, read_write> dx: array<vec4<StoredDx>>; // [batch, height, width, channels]

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let vectors = channels / 4u;
    let f_vectors = filters / 4u;
    let groups_c = (vectors + LANES * VECTORS - 1u) / (LANES * VECTORS);
    let vector0 = (group.x % groups_c * LANES + lane) * VECTORS;
    let image0 = group.x / groups_c * LANES * GROUPS;
    let row = group.z + pad_top;
    let column = group.y + pad_left;

    // Windows of an image: those of the pool if there is one, since the outputs outside of it have no gradient.
    let windows_y = select(out_height, out_height / 2u, pooled == 1u);
    let windows_x = select(out_width, out_width / 2u, pooled == 1u);
    var y_start: array<u32, GROUPS>;
    for (var g = 0u; g < GROUPS; g++) {
        y_start[g] = min(image0 + g * LANES + lane, batch - 1u) * windows_y * windows_x * f_vectors;
    }
    var w_start: array<u32, VECTORS>;
    for (var j = 0u; j < VECTORS; j++) {
        w_start[j] = min(vector0 + j, vectors - 1u) * filters;
    }

    // One dimension per loop: drivers unroll a loop of any length over an array of the same length.
    var sum: array<array<array<vec4f, VECTORS>, LANES>, GROUPS>;
    for (var tap = 0u; tap < kernel_height * kernel_width; tap++) {
        let ky = tap / kernel_width;
        let kx = tap % kernel_width;
        let oy = (row - ky) / stride_height;
        let ox = (column - kx) / stride_width;
        let meets = row >= ky && column >= kx && (row - ky) % stride_height == 0u && (column - kx) % stride_width == 0u;
        let window_y = oy / (pooled + 1u);
        let window_x = ox / (pooled + 1u);
        let place = oy % 2u * 2u + ox % 2u;
        let terms = select(0u, f_vectors, meets && window_y < windows_y && window_x < windows_x);
        let y0 = (window_y * windows_x + window_x) * f_vectors;
        for (var f = 0u; f < terms; f++) {
            var dz: array<vec4f, GROUPS>;
            for (var g = 0u; g < GROUPS; g++) {
                let at = y_start[g] + y0 + f;
                dz[g] = vec4f(dy[at]);
                if pooled == 1u {
                    let won = (vec4u(winner[at]) >> vec4u(0u, 8u, 16u, 24u)) & vec4u(255u);
                    dz[g] = select(vec4f(), dz[g], won == vec4u(place));
                }
            }
            // Four channels, each contiguous along the filters, turned into four filters.
            var w: array<mat4x4f, VECTORS>;
            for (var j = 0u; j < VECTORS; j++) {
                let at = tap * channels * f_vectors + w_start[j] + f;
                w[j] = transpose(mat4x4f(
                    weight[at],
                    weight[at + f_vectors],
                    weight[at + 2u * f_vectors],
                    weight[at + 3u * f_vectors],
                ));
            }
            for (var g = 0u; g < GROUPS; g++) {
                for (var l = 0u; l < LANES; l++) {
                    let z = subgroupShuffle(dz[g], l);
                    for (var j = 0u; j < VECTORS; j++) {
                        // One after the other: the order of the sum is the same in every variant.
                        sum[g][l][j] += z.x * w[j][0];
                        sum[g][l][j] += z.y * w[j][1];
                        sum[g][l][j] += z.z * w[j][2];
                        sum[g][l][j] += z.w * w[j][3];
                    }
                }
            }
        }
    }

    for (var g = 0u; g < GROUPS; g++) {
        for (var l = 0u; l < LANES; l++) {
            for (var j = 0u; j < VECTORS; j++) {
                let image = image0 + g * LANES + l;
                if image < batch && vector0 + j < vectors {
                    let at = ((image * height + group.z) * width + group.y) * vectors + vector0 + j;
                    if relu == 1u {
                        sum[g][l][j] = select(vec4f(), sum[g][l][j], vec4f(x[at]) > vec4f());
                    }
                    dx[at] = vec4<StoredDx>(sum[g][l][j]);
                }
            }
        }
    }
}
