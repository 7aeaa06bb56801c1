// bench/against/mpi_peer.cc: a rank of `mpirun -n 2 mpi_peer BYTES PLACE`: a lane of the measurement at PLACE, in which
// BYTES at a time are sent, or received. Built once against Open MPI and once against MPICH; run by
// bench/bytes_bench.cc.

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>

#include "bench/against/mpi.h"
#include "bench/harness/copies.h"

namespace bench {

namespace {

template <size_t Bytes>
void rank(const char *place) {
  using Q = Ranks<Numbered<Bytes>>;
  int rank;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  if (rank == 0) enter(place, 0, [](Lane &lane) { send_copies<Q>(lane, nullptr); });
  else enter(place, 1, [](Lane &lane) { receive_copies<Q>(lane, nullptr); });
}

void rank_of(long bytes, const char *place) {
  if (bytes == 256) rank<256>(place);
  else if (bytes == 4 << 10) rank<4 << 10>(place);
  else if (bytes == 64 << 10) rank<64 << 10>(place);
  else if (bytes == 1 << 20) rank<1 << 20>(place);
  else throw std::invalid_argument("messages of another size");
}

}  // namespace

}  // namespace bench

int main(int argc, char **argv) {
  MPI_Init(&argc, &argv);
  try {
    if (argc != 3) throw std::invalid_argument("mpi_peer BYTES PLACE");
    bench::rank_of(strtol(argv[1], nullptr, 10), argv[2]);
  } catch (const std::exception &e) {
    fprintf(stderr, "mpi_peer: %s\n", e.what());
    MPI_Abort(MPI_COMM_WORLD, 1);
  }
  MPI_Finalize();
}
