// bench/against/mpi.h: two ranks, a message each way of saying it: MPI_Send and MPI_Recv. Included by mpi_peer.cc only:
// Open MPI and MPICH each have a header of this name, and cannot be in one program.
#pragma once

#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>

#include "bench/harness/workloads.h"

namespace bench {

// Errors end the program: that is MPI's default.
template <class M>
struct Ranks : Placed {
  using Message = M;

  struct Producer {
    Producer(void *, unsigned) {}
    ~Producer() { MPI_Send(nullptr, 0, MPI_BYTE, 1, 0, MPI_COMM_WORLD); }  // the end
    bool put(const M &m) { return MPI_Send(&m, sizeof m, MPI_BYTE, 1, 0, MPI_COMM_WORLD) == MPI_SUCCESS; }
  };
  struct Consumer {
    Consumer(void *, unsigned) {}
    bool get(M &m) {
      MPI_Status status;
      int size = 0;
      MPI_Recv(&m, sizeof m, MPI_BYTE, 0, 0, MPI_COMM_WORLD, &status);
      MPI_Get_count(&status, MPI_BYTE, &size);
      return size == sizeof m;
    }
  };
};

}  // namespace bench
