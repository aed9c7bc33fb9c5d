#pragma once

#include <memory>
#include <string>

#include "base/control.hpp"
#include "felix/io/dataplane.hpp"
#include "felix/io/datastore.hpp"

namespace manul::felix::io {

/// Answers on `<run_dir>/felix.sock`: `{"op": "status" | "endpoints" | "counters"}`; `counters` in pages.
[[nodiscard]] Result<std::unique_ptr<control::Server>> serve_show(boost::asio::io_context& io,
                                                                  const std::string& run_dir, Dataplane& dataplane,
                                                                  const Datastore& datastore);

}  // namespace manul::felix::io
