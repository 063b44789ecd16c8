// Mean of each window over its elements on the image.
// oy, ox number the windows; a thread makes one element of y.
// Rust: crates/kernels/src/avg_pool.rs

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
    let row_first = max(top, pad_top);
    let row_end = min(top + kernel_height, pad_top + height);
    let column_first = max(left, pad_left);
    let column_end = min(left + kernel_width, pad_left + width);
    var sum = 0.0;
    for (var row = row_first; row < row_end; row++) {
        let line = (image * height + row - pad_top) * width;
        for (var column = column_first; column < column_end; column++) {
            sum += f32(x[(line + column - pad_left) * channels + channel]);
        }
    }
    y[i] = StoredY(sum / f32((row_end - row_first) * (column_end - column_first)));
}
