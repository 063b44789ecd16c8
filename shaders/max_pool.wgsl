// Maximum of each window and its position in the window; padding never wins.
// oy, ox number the windows, ky, kx the elements of one; a thread makes one element of y and of winner.
// The first maximum in row-major order wins; a NaN always does, found by its bits.
// Rust: crates/kernels/src/max_pool.rs

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

alias StoredX = f32; // or f16
alias StoredY = f32; // or f16

@group(0) @binding(0) var<storage, read> x: array<StoredX>; // [batch, height, width, channels]
@group(0) @binding(1) var<storage, read_write> y: array<StoredY>; // [batch, out_height, out_width, channels]
@group(0) @binding(2) var<storage, read_write> winner: array<u32>; // [batch, out_height, out_width, channels]

const NONE: u32 = 0xffffffffu;

fn is_nan(value: f32) -> bool {
    return (bitcast<u32>(value) & 0x7fffffffu) > 0x7f800000u;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.y * (groups.x * 64u) + id.x;
    if i >= batch * out_height * out_width * channels {
        return;
    }
    let channel = i % channels;
    let pixel = i / channels;
    let left = pixel % out_width * stride_width;
    let top = pixel / out_width % out_height * stride_height;
    let image = pixel / (out_width * out_height);

    // Positions count from the padding's edge; only those on the image are visited.
    let row_end = min(top + kernel_height, pad_top + height);
    let column_end = min(left + kernel_width, pad_left + width);
    var best = 0.0;
    var best_tap = NONE;
    for (var row = max(top, pad_top); row < row_end; row++) {
        let line = (image * height + row - pad_top) * width;
        for (var column = max(left, pad_left); column < column_end; column++) {
            let value = f32(x[(line + column - pad_left) * channels + channel]);
            if best_tap == NONE || value > best || is_nan(value) {
                best = value;
                best_tap = (row - top) * kernel_width + column - left;
            }
        }
    }
    y[i] = StoredY(best);
    winner[i] = best_tap;
}
