linear = r"""
extern "C" __global__ void linear(const float* x, const float* w, float* y,
                                  int rows, int outs, int ins) {
  __shared__ float xs[32][32];
  __shared__ float ws[32][33];
  int tx = threadIdx.x, ty = threadIdx.y, first = blockIdx.x * 32;
  int r = blockIdx.y * 32 + ty, o = first + tx;
  float sum = 0.0f;
  for (int t = 0; t < ins; t += 32) {
    xs[ty][tx] = (r < rows && t + tx < ins) ? x[r * ins + t + tx] : 0.0f;
    ws[ty][tx] = (first + ty < outs && t + tx < ins) ? w[(first + ty) * ins + t + tx] : 0.0f;
    __syncthreads();                                   // the tiles are full
    for (int k = 0; k < 32; ++k) sum += xs[ty][k] * ws[k][tx];
    __syncthreads();                                   // all have used them
  }
  if (r < rows && o < outs) y[r * outs + o] = sum;
}
"""
