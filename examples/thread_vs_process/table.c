#include "examples/thread_vs_process/table.h"

const char *const workload_names[WORKLOADS] = {"empty", "processor", "file", "network"};
const char *const way_names[WAYS] = {"sequential", "threads", "processes"};

void table_print(const struct table *t, FILE *out) {
  fprintf(out, "%-10s %7s", "", "workers");
  for (int way = 0; way < WAYS; way++) fprintf(out, " %12s", way_names[way]);
  fprintf(out, "   milliseconds\n");
  for (int w = 0; w < WORKLOADS; w++) {
    for (int n = 0; n < COUNTS; n++) {
      fprintf(out, "%-10s %7d", n ? "" : workload_names[w], 1 << n);
      for (int way = 0; way < WAYS; way++) fprintf(out, " %12.3f", t->seconds[w][n][way] * 1e3);
      fputc('\n', out);
    }
  }
}

// ---- the plot: a panel for each workload, workers to the right, time upwards ----

#define WIDTH 300.0
#define HEIGHT 220.0
#define LEFT 60.0
#define TOP 50.0
#define APART_X 90.0
#define APART_Y 80.0
static const char *const colours[WAYS] = {"#666666", "#d95f02", "#1b6ca8"};

static double largest(const double (*rows)[WAYS]) {
  double most = 0;
  for (int n = 0; n < COUNTS; n++)
    for (int way = 0; way < WAYS; way++)
      if (rows[n][way] > most) most = rows[n][way];
  return most > 0 ? most : 1;
}

static double x_of(int n) { return 20 + n * (WIDTH - 40) / (COUNTS - 1); }
static double y_of(double seconds, double most) { return HEIGHT - seconds / most * (HEIGHT - 10); }

static void plot_way(const double (*rows)[WAYS], int way, double most, FILE *out) {
  fprintf(out, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" points=\"", colours[way]);
  for (int n = 0; n < COUNTS; n++) fprintf(out, "%.1f,%.1f ", x_of(n), y_of(rows[n][way], most));
  fprintf(out, "\"/>\n");
  for (int n = 0; n < COUNTS; n++)
    fprintf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>\n", x_of(n), y_of(rows[n][way], most),
            colours[way]);
}

static void plot_panel(const struct table *t, int w, FILE *out) {
  double most = largest(t->seconds[w]);
  fprintf(out, "<g transform=\"translate(%.0f,%.0f)\">\n", LEFT + (w % 2) * (WIDTH + APART_X),
          TOP + (w / 2) * (HEIGHT + APART_Y));
  fprintf(out, "<rect width=\"%.0f\" height=\"%.0f\" fill=\"none\" stroke=\"#bbbbbb\"/>\n", WIDTH, HEIGHT);
  fprintf(out, "<text x=\"%.0f\" y=\"-8\" text-anchor=\"middle\">%s</text>\n", WIDTH / 2, workload_names[w]);
  for (int n = 0; n < COUNTS; n++)
    fprintf(out, "<text x=\"%.1f\" y=\"%.0f\" text-anchor=\"middle\">%d</text>\n", x_of(n), HEIGHT + 16, 1 << n);
  for (int i = 0; i <= 2; i++)
    fprintf(out, "<text x=\"-6\" y=\"%.1f\" text-anchor=\"end\">%.3g</text>\n", y_of(most * i / 2, most) + 4,
            most * i / 2 * 1e3);
  for (int way = 0; way < WAYS; way++) plot_way(t->seconds[w], way, most, out);
  fprintf(out, "</g>\n");
}

int table_plot(const struct table *t, const char *file) {
  FILE *out = fopen(file, "w");
  if (!out) return -1;
  double width = LEFT + 2 * WIDTH + APART_X + 20, height = TOP + 2 * (HEIGHT + APART_Y);
  fprintf(out,
          "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" font-family=\"sans-serif\" "
          "font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
          width, height);
  for (int w = 0; w < WORKLOADS; w++) plot_panel(t, w, out);
  for (int way = 0; way < WAYS; way++)
    fprintf(out, "<text x=\"%.0f\" y=\"%.0f\" fill=\"%s\">%s</text>\n", LEFT + way * 110, height - 30, colours[way],
            way_names[way]);
  fprintf(out, "<text x=\"%.0f\" y=\"%.0f\">milliseconds by number of workers</text>\n</svg>\n", LEFT + WAYS * 110,
          height - 30);
  return fclose(out) ? -1 : 0;
}
