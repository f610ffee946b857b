// 1a. One kernel a formula: the first moment,
extern "C" __global__ void adamw1_first(float* m, const float* g, int n, float beta1) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) m[i] = beta1 * m[i] + (1.0f - beta1) * g[i];
}

// 1b. the second moment,
extern "C" __global__ void adamw1_second(float* v, const float* g, int n, float beta2) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  float gi = g[i];
  v[i] = beta2 * v[i] + (1.0f - beta2) * gi * gi;
}

// 1c. and the step.
extern "C" __global__ void adamw1_step(float* p, const float* m, const float* v, int n, float lr, float eps,
                                       float decay, float correct1, float correct2) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  float pi = p[i], update = (m[i] / correct1) / (sqrtf(v[i] / correct2) + eps);
  p[i] = pi - lr * (update + decay * pi);
}

__device__ float adamw_one(float p, float g, float& m, float& v, float lr, float beta1, float beta2, float eps,
                           float decay, float correct1, float correct2) {
  m = beta1 * m + (1.0f - beta1) * g;
  v = beta2 * v + (1.0f - beta2) * g * g;
  return p - lr * ((m / correct1) / (sqrtf(v / correct2) + eps) + decay * p);
}

// 2. Fused: parameter, gradient and moments are read once.
extern "C" __global__ void adamw2_fused(float* p, const float* g, float* m, float* v, int n, float lr, float beta1,
                                        float beta2, float eps, float decay, float correct1, float correct2) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  float mi = m[i], vi = v[i];
  p[i] = adamw_one(p[i], g[i], mi, vi, lr, beta1, beta2, eps, decay, correct1, correct2);
  m[i] = mi;
  v[i] = vi;
}

// 3. Fused, four parameters a thread; the last few one by one.
extern "C" __global__ void adamw3_float4(float* p, const float* g, float* m, float* v, int n, float lr, float beta1,
                                         float beta2, float eps, float decay, float correct1, float correct2) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n / 4) {
    float4 pi = reinterpret_cast<float4*>(p)[i], gi = reinterpret_cast<const float4*>(g)[i];
    float4 mi = reinterpret_cast<float4*>(m)[i], vi = reinterpret_cast<float4*>(v)[i];
    pi.x = adamw_one(pi.x, gi.x, mi.x, vi.x, lr, beta1, beta2, eps, decay, correct1, correct2);
    pi.y = adamw_one(pi.y, gi.y, mi.y, vi.y, lr, beta1, beta2, eps, decay, correct1, correct2);
    pi.z = adamw_one(pi.z, gi.z, mi.z, vi.z, lr, beta1, beta2, eps, decay, correct1, correct2);
    pi.w = adamw_one(pi.w, gi.w, mi.w, vi.w, lr, beta1, beta2, eps, decay, correct1, correct2);
    reinterpret_cast<float4*>(p)[i] = pi;
    reinterpret_cast<float4*>(m)[i] = mi;
    reinterpret_cast<float4*>(v)[i] = vi;
  }
  int last = n / 4 * 4 + i;
  if (i < n % 4) {
    float mi = m[last], vi = v[last];
    p[last] = adamw_one(p[last], g[last], mi, vi, lr, beta1, beta2, eps, decay, correct1, correct2);
    m[last] = mi;
    v[last] = vi;
  }
}
