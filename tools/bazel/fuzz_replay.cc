// Runs a fuzz target over its corpus files and over mutations of them, for builds without
// libFuzzer. The mutations are the same in every run.
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

constexpr int kMutationsPerFile = 20'000;

void RunOne(const std::string& input) {
  // An exact copy on the heap, so that a sanitizer sees a read beyond the end.
  const std::vector<uint8_t> exact(input.begin(), input.end());
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

// One to four octets set, inserted or removed.
std::string Mutate(std::string input, std::mt19937_64& chance) {
  for (uint64_t edits = 1 + chance() % 4; edits > 0; --edits) {
    const size_t at = chance() % (input.size() + 1);
    const char octet = static_cast<char>(chance());
    const uint64_t kind = chance() % 3;
    if (kind == 0 || at == input.size()) {
      input.insert(at, 1, octet);
    } else if (kind == 1) {
      input[at] = octet;
    } else {
      input.erase(at, 1);
    }
  }
  return input;
}

}  // namespace

int main(int argc, char** argv) {
  std::mt19937_64 chance(20'220'412);
  for (int i = 1; i < argc; ++i) {
    std::ifstream file(argv[i], std::ios::binary);
    if (!file) {
      std::fprintf(stderr, "%s: cannot be read\n", argv[i]);
      return 1;
    }
    const std::string seed((std::istreambuf_iterator<char>(file)),
                           std::istreambuf_iterator<char>());
    RunOne(seed);
    for (int round = 0; round < kMutationsPerFile; ++round) RunOne(Mutate(seed, chance));
  }
  std::printf("%d inputs, %d mutations of each\n", argc - 1, kMutationsPerFile);
  return 0;
}
