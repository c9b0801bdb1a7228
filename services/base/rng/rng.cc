#include "services/base/rng/rng.h"

#include <sys/random.h>

#include <cstdlib>

namespace portolan {

uint64_t RandomSeed() {
  uint64_t seed = 0;
  if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed)) abort();
  return seed;
}

}  // namespace portolan
