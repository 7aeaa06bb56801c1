// Runs a fuzzer's corpus without a fuzzing engine: replay FOLDER..., every file in them.
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"

static int replay(const char *folder, const char *name) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *in = fopen(path, "rb");
  FUZZ_CHECK(in && fseek(in, 0, SEEK_END) == 0);
  size_t size = (size_t)ftell(in);
  uint8_t *data = malloc(size ? size : 1);
  rewind(in);
  FUZZ_CHECK(data && fread(data, 1, size, in) == size);
  fclose(in);
  printf("%s\n", path);
  fflush(stdout);  // which one it was, if it does not return
  LLVMFuzzerTestOneInput(data, size);
  free(data);
  return 1;
}

int main(int argc, char **argv) {
  int done = 0;
  for (int i = 1; i < argc; i++) {
    char *path = realpath(argv[i], NULL);  // a fuzzer may change its directory
    DIR *folder = path ? opendir(path) : NULL;
    FUZZ_CHECK(folder);
    for (struct dirent *e; (e = readdir(folder));)
      if (e->d_name[0] != '.') done += replay(path, e->d_name);
    closedir(folder);
    free(path);
  }
  printf("%d inputs\n", done);
  return done ? 0 : 1;
}
