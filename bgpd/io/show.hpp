#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/control.hpp"
#include "base/error.hpp"
#include "bgpd/io/datastore.hpp"
#include "bgpd/io/engine.hpp"
#include "config/model/node_report.hpp"

namespace boost::asio {
class io_context;
}

namespace manul::bgp::io {

/// Answers on `<run_dir>/bgpd.sock`:
///   {"op":"status"}                          this daemon: sync, kernel routes
///   {"op":"report"}                          the spec of its NodeReport as it would be written now
///   {"op":"peers"}                           every session with its counters
///   {"op":"routes","prefix":P,"limit":N}     all paths of the prefixes inside P (default: all, 1000 prefixes)
///   {"op":"routes","address":A}              all paths of the longest prefix that contains A
///   {"op":"shutdown","text":T}               leaves: Cease to all peers with these words, no kernel routes; answered
///                                            when done
///   {"op":"start"}                           ends a shutdown
/// All arguments live as long as the server.
[[nodiscard]] Result<std::unique_ptr<control::Server>> serve_show(boost::asio::io_context& io,
                                                                  const std::string& run_dir, Engine& engine,
                                                                  const Datastore& datastore,
                                                                  std::function<model::NodeReportSpec()> report);

}  // namespace manul::bgp::io
