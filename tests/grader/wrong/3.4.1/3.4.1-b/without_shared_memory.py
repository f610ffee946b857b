turn = r"""
extern "C" __global__ void turn(const float* a, float* out, int rows, int cols) {
  int x = blockIdx.x * 32 + threadIdx.x, y = blockIdx.y * 32 + threadIdx.y;
  if (x < cols && y < rows) out[x * rows + y] = a[y * cols + x];
}
"""
