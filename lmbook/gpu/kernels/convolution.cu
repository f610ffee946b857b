// 3 x 3, stride 1, padding 1: x is (C, H, W), the weights (O, C, 3, 3), y is (O, H, W).

// 1a. im2col: every input number is copied to the nine places where a product needs it ...
extern "C" __global__ void conv1_im2col(const float* x, float* col, int C, int H, int W) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= C * 9 * H * W) return;
  int w = i % W, h = i / W % H, tap = i / (H * W) % 9, c = i / (H * W * 9);
  int yy = h + tap / 3 - 1, xx = w + tap % 3 - 1;
  col[i] = (yy >= 0 && yy < H && xx >= 0 && xx < W) ? x[(c * H + yy) * W + xx] : 0.0f;
}

// 1b. ... so that the convolution is a matrix product, (O, 9 C) times (9 C, H W).
extern "C" __global__ void conv1_product(const float* weight, const float* col, float* y, int O, int taps, int pixels) {
  int p = blockIdx.x * blockDim.x + threadIdx.x, o = blockIdx.y;
  if (p >= pixels) return;
  float sum = 0.0f;
  for (int k = 0; k < taps; ++k) sum += weight[o * taps + k] * col[k * pixels + p];
  y[o * pixels + p] = sum;
}

// 2. Direct: no buffer; each number is read nine times for each filter, from the cache if all goes well.
extern "C" __global__ void conv2_direct(const float* x, const float* weight, float* y, int C, int H, int W) {
  int w = blockIdx.x * blockDim.x + threadIdx.x, h = blockIdx.y * blockDim.y + threadIdx.y, o = blockIdx.z;
  if (w >= W || h >= H) return;
  float sum = 0.0f;
  for (int c = 0; c < C; ++c)
    for (int i = 0; i < 3; ++i)
      for (int j = 0; j < 3; ++j) {
        int yy = h + i - 1, xx = w + j - 1;
        if (yy >= 0 && yy < H && xx >= 0 && xx < W)
          sum += x[(c * H + yy) * W + xx] * weight[((o * C + c) * 3 + i) * 3 + j];
      }
  y[(o * H + h) * W + w] = sum;
}

#define TW 32
#define TH 8

// 3. A tile with its border in shared memory: for each filter, a number is read from global memory about 1.3 times.
extern "C" __global__ void conv3_tiled(const float* x, const float* weight, float* y, int C, int H, int W) {
  __shared__ float tile[TH + 2][TW + 2];
  int tx = threadIdx.x, ty = threadIdx.y, tid = ty * TW + tx;
  int w = blockIdx.x * TW + tx, h = blockIdx.y * TH + ty, o = blockIdx.z;
  float sum = 0.0f;
  for (int c = 0; c < C; ++c) {
    for (int k = tid; k < (TH + 2) * (TW + 2); k += TW * TH) {
      int ky = k / (TW + 2), kx = k % (TW + 2);
      int yy = blockIdx.y * TH + ky - 1, xx = blockIdx.x * TW + kx - 1;
      tile[ky][kx] = (yy >= 0 && yy < H && xx >= 0 && xx < W) ? x[(c * H + yy) * W + xx] : 0.0f;
    }
    __syncthreads();
    for (int i = 0; i < 3; ++i)
      for (int j = 0; j < 3; ++j) sum += tile[ty + i][tx + j] * weight[((o * C + c) * 3 + i) * 3 + j];
    __syncthreads();
  }
  if (w < W && h < H) y[(o * H + h) * W + w] = sum;
}
