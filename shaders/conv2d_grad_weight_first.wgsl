// Gradient of a convolution's weights and of its bias, in shares of the output's lines, in registers alone, for images of
// few channels, as the first layer has them.
// oy, ox number the windows, ky, kx their taps, c the channels, f the filters. The weights are a matrix with a row for each
// (ky, kx, c); a thread makes ROWS rows x (4 * VECTORS) filters of one share. LANES_F neighbouring threads lie along the
// filters, the next ones along the shares.
// Rows, filters and shares beyond the edge repeat the last ones and are not stored, so no load needs a branch; padding loads
// element 0 and drops it. Positions before the image wrap around to huge ones, so one comparison finds padding on either
// side.
// Rust: crates/kernels/src/conv2d_grad_weight_first.rs

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

const WORKGROUP: u32 = 8u;
const LANES_F: u32 = 2u;
const ROWS: u32 = 9u;
const VECTORS: u32 = 4u;

alias StoredX = f32; // or f16
alias StoredDy = f32; // or f16

@group(0) @binding(0) var<storage, read> x: array<StoredX>; // [batch, height, width, channels]
@group(0) @binding(1) var<storage, read> dy: array<vec4<StoredDy>>; // [batch, out_height, out_width, filters], half if pooled
@group(0) @binding(2) var<storage, read> winner: array<u32>; // [batch, out_height/2, out_width/2, filters/4] if pooled
@group(0) @binding(3) var<storage, read_write> grad: array<vec4f>; // [splits, bias_offset + filters]

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let all_rows = kernel_height * kernel_width * channels;
    let vectors = filters / 4u;
    let vector0 = (group.x * LANES_F + lane % LANES_F) * VECTORS;
    let row0 = group.y * ROWS;
    let split = group.z * (WORKGROUP / LANES_F) + lane / LANES_F;
    // Every window lies within the image, so nothing has to be checked.
    let inside = pad_top == 0u && pad_left == 0u && (out_height - 1u) * stride_height + kernel_height <= height
        && (out_width - 1u) * stride_width + kernel_width <= width;

    var f_vector: array<u32, VECTORS>;
    for (var j = 0u; j < VECTORS; j++) {
        f_vector[j] = min(vector0 + j, vectors - 1u);
    }
    var tap_y: array<u32, ROWS>;
    var tap_x: array<u32, ROWS>;
    var tap: array<u32, ROWS>; // From the window's first element to the tap's.
    for (var i = 0u; i < ROWS; i++) {
        let at = min(row0 + i, all_rows - 1u);
        tap_y[i] = at / (channels * kernel_width);
        tap_x[i] = at / channels % kernel_width;
        tap[i] = (tap_y[i] * width + tap_x[i]) * channels + at % channels;
    }

    // With a pool, the last line or column of an image may lie outside of every window; it has no gradient.
    let used_height = select(out_height, out_height / 2u * 2u, pooled == 1u);
    let used_width = select(out_width, out_width / 2u * 2u, pooled == 1u);
    let lines = batch * out_height;
    let share = (lines + splits - 1u) / splits;
    let first_line = min(min(split, splits - 1u) * share, lines);
    let last_line = min(first_line + share, lines);
    let first = (first_line / out_height * used_height + min(first_line % out_height, used_height)) * used_width;
    let last = (last_line / out_height * used_height + min(last_line % out_height, used_height)) * used_width;

    var sum: array<array<vec4f, VECTORS>, ROWS>;
    var bias: array<vec4f, VECTORS>;
    // Two pixels at a time: with a pool they share what is loaded of dy.
    for (var pixel = first; pixel < last; pixel += 2u) {
        var z: array<array<vec4f, VECTORS>, 2>;
        var elements: array<array<f32, ROWS>, 2>;
        for (var half = 0u; half < 2u; half++) {
            let there = half == 0u || pooled == 1u || pixel + half < last;
            let ox = (pixel + half) % used_width;
            let oy = (pixel + half) / used_width % used_height;
            let image = (pixel + half) / (used_width * used_height);
            let row = oy * stride_height - pad_top;
            let column = ox * stride_width - pad_left;
            let x0 = ((image * height + row) * width + column) * channels;
            for (var i = 0u; i < ROWS; i++) {
                let on_image = there && (inside || (row + tap_y[i] < height && column + tap_x[i] < width));
                elements[half][i] = select(0.0, f32(x[select(0u, x0 + tap[i], on_image)]), on_image);
            }
            for (var j = 0u; j < VECTORS; j++) {
                if pooled == 0u {
                    let at = (pixel + half) * vectors + f_vector[j];
                    z[half][j] = select(vec4f(), vec4f(dy[select(0u, at, there)]), there);
                } else if half == 0u {
                    let at = ((image * (out_height / 2u) + oy / 2u) * (out_width / 2u) + ox / 2u) * vectors + f_vector[j];
                    let dz = vec4f(dy[at]);
                    let won = (vec4u(winner[at]) >> vec4u(0u, 8u, 16u, 24u)) & vec4u(255u);
                    z[0][j] = select(vec4f(), dz, won == vec4u(oy % 2u * 2u));
                    z[1][j] = select(vec4f(), dz, won == vec4u(oy % 2u * 2u + 1u));
                }
            }
        }
        for (var j = 0u; j < VECTORS; j++) {
            bias[j] += z[0][j];
            bias[j] += z[1][j];
        }
        for (var i = 0u; i < ROWS; i++) {
            for (var j = 0u; j < VECTORS; j++) {
                sum[i][j] += elements[0][i] * z[0][j];
                sum[i][j] += elements[1][i] * z[1][j];
            }
        }
    }

    if split >= splits {
        return;
    }
    let grad0 = split * ((bias_offset + filters) / 4u);
    for (var i = 0u; i < ROWS; i++) {
        for (var j = 0u; j < VECTORS; j++) {
            if row0 + i < all_rows && vector0 + j < vectors {
                grad[grad0 + (row0 + i) * vectors + vector0 + j] = sum[i][j];
            }
        }
    }
    // Lanes beyond the filters would clear what others clear: a race, though both write 0.
    if row0 == 0u && vector0 < vectors {
        for (var j = 0u; j < VECTORS; j++) {
            if vector0 + j < vectors {
                grad[grad0 + bias_offset / 4u + vector0 + j] = bias[j];
            }
        }
        for (var i = all_rows * vectors + vector0 / VECTORS; i < bias_offset / 4u; i += (vectors + VECTORS - 1u) / VECTORS) {
            grad[grad0 + i] = vec4f();
        }
    }
}
