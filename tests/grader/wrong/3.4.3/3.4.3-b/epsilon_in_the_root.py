adamw = r"""
extern "C" __global__ void adamw(float* p, const float* g, float* m, float* v, int n, float lr, float beta1, float beta2, float eps, float decay,
    float correct1, float correct2) {
  int t = blockIdx.x * blockDim.x + threadIdx.x;
  int i = t;
  if (i >= n) return;
  float gi = g[i];
  float mi = beta1 * m[i] + (1.0f - beta1) * gi;
  float vi = beta2 * v[i] + (1.0f - beta2) * gi * gi;
  p[i] -= lr * ((mi / correct1) / sqrtf(vi / correct2 + eps) + decay * p[i]);
  m[i] = mi;
  v[i] = vi;
}
"""
