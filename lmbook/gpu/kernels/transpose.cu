#define TILE 32

// 1. Loads run along rows, stores down columns: 32 sectors for each store request.
extern "C" __global__ void transpose1_naive(const float* a, float* b, int rows, int cols) {
  int x = blockIdx.x * TILE + threadIdx.x, y = blockIdx.y * TILE + threadIdx.y;
  if (x < cols && y < rows) b[x * rows + y] = a[y * cols + x];
}

// 2. Turn a tile in shared memory, so that both sides run along rows; its columns lie in one bank.
extern "C" __global__ void transpose2_tiled(const float* a, float* b, int rows, int cols) {
  __shared__ float tile[TILE][TILE];
  int x = blockIdx.x * TILE + threadIdx.x, y = blockIdx.y * TILE + threadIdx.y;
  if (x < cols && y < rows) tile[threadIdx.y][threadIdx.x] = a[y * cols + x];
  __syncthreads();
  x = blockIdx.y * TILE + threadIdx.x;
  y = blockIdx.x * TILE + threadIdx.y;
  if (x < rows && y < cols) b[y * rows + x] = tile[threadIdx.x][threadIdx.y];
}

// 3. One spare column shifts each row by a bank: columns lie in 32 banks.
extern "C" __global__ void transpose3_padded(const float* a, float* b, int rows, int cols) {
  __shared__ float tile[TILE][TILE + 1];
  int x = blockIdx.x * TILE + threadIdx.x, y = blockIdx.y * TILE + threadIdx.y;
  if (x < cols && y < rows) tile[threadIdx.y][threadIdx.x] = a[y * cols + x];
  __syncthreads();
  x = blockIdx.y * TILE + threadIdx.x;
  y = blockIdx.x * TILE + threadIdx.y;
  if (x < rows && y < cols) b[y * rows + x] = tile[threadIdx.x][threadIdx.y];
}

// 4. The same without the spare bytes: the column is swizzled by an exclusive or with the row.
extern "C" __global__ void transpose4_swizzled(const float* a, float* b, int rows, int cols) {
  __shared__ float tile[TILE][TILE];
  int x = blockIdx.x * TILE + threadIdx.x, y = blockIdx.y * TILE + threadIdx.y;
  if (x < cols && y < rows) tile[threadIdx.y][threadIdx.x ^ threadIdx.y] = a[y * cols + x];
  __syncthreads();
  x = blockIdx.y * TILE + threadIdx.x;
  y = blockIdx.x * TILE + threadIdx.y;
  if (x < rows && y < cols) b[y * rows + x] = tile[threadIdx.x][threadIdx.y ^ threadIdx.x];
}
