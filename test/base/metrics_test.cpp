#include "base/metrics.hpp"

#include <catch2/catch.hpp>

using manul::metrics::Registry;

TEST_CASE("metrics print in Prometheus' text format") {
    Registry registry;
    registry.counter("manul_test_total", "Things.", {{"peer", "a\"b"}}).add(3);
    registry.counter("manul_test_total", "Things.", {{"peer", "a\"b"}}).add();
    registry.gauge("manul_test_level", "Level.").set(1.5);
    auto& histogram = registry.histogram("manul_test_seconds", "Time.", {0.1, 1});
    histogram.observe(0.05);
    histogram.observe(0.1);
    histogram.observe(5);
    CHECK(registry.exposition() ==
          "# HELP manul_test_level Level.\n# TYPE manul_test_level gauge\nmanul_test_level 1.5\n"
          "# HELP manul_test_seconds Time.\n# TYPE manul_test_seconds histogram\n"
          "manul_test_seconds_bucket{le=\"0.1\"} 2\nmanul_test_seconds_bucket{le=\"1\"} 2\n"
          "manul_test_seconds_bucket{le=\"+Inf\"} 3\nmanul_test_seconds_sum 5.15\nmanul_test_seconds_count 3\n"
          "# HELP manul_test_total Things.\n# TYPE manul_test_total counter\nmanul_test_total{peer=\"a\\\"b\"} 4\n");
}
