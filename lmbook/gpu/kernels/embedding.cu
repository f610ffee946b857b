// 1. A block for each token adds its gradient to the row of its id: right only because the additions are atomic.
extern "C" __global__ void embedding1_atomic(const int* ids, const float* dy, float* dw, int tokens, int d) {
  int id = ids[blockIdx.x];
  for (int j = threadIdx.x; j < d; j += blockDim.x) atomicAdd(&dw[id * d + j], dy[blockIdx.x * d + j]);
}

// 2. A block for each row of the table looks through all ids: no atomics, always the same order of additions.
extern "C" __global__ void embedding2_gather(const int* ids, const float* dy, float* dw, int tokens, int d) {
  for (int j = threadIdx.x; j < d; j += blockDim.x) {
    float sum = 0.0f;
    for (int t = 0; t < tokens; ++t)
      if (ids[t] == blockIdx.x) sum += dy[t * d + j];
    dw[blockIdx.x * d + j] = sum;
  }
}

// 3. Tokens sorted by id: a block adds the run of its row, reading each gradient once.
extern "C" __global__ void embedding3_sorted(const int* order, const int* start, const float* dy, float* dw, int d) {
  int first = start[blockIdx.x], last = start[blockIdx.x + 1];
  for (int j = threadIdx.x; j < d; j += blockDim.x) {
    float sum = 0.0f;
    for (int t = first; t < last; ++t) sum += dy[order[t] * d + j];
    dw[blockIdx.x * d + j] = sum;
  }
}
