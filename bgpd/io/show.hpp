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
///   {"op":"peers","peer":A}                  every session with its counters, or that one
///   {"op":"routes","prefix":P,"limit":N}     all paths of the prefixes inside P (default: all, 1000 prefixes)
///   {"op":"routes","address":A}              all paths of the longest prefix that contains A
///   {"op":"walk","table":T,"peer":A,"prefix":P,"community":C,"asPath":"^1 2$"}   a part of the routes asked for, in no
///                                            order; T: all, accepted, rejected, best, or sent (to peer A)
///   {"op":"sent-counts"}                     how many routes each peer is told, of a part of the tables
///   {"op":"why","prefix":P} or {..,"address":A}   all paths with the step that decided, and who is told what and why
///   {"op":"test-filters","filters":[..],"peer":A,"names":[..]}   what these BGPFilters would change
///   {"op":"command","what":W,"peer":A,"text":T}   W: reset, shutdown, enable, refresh-in, refresh-out
/// Answers in parts have a "cursor" while there is more: the same request with it brings the next part.
///   {"op":"shutdown","text":T}               leaves: Cease to all peers with these words, no kernel routes; answered
///                                            when done
///   {"op":"start"}                           ends a shutdown
/// All arguments live as long as the server.
[[nodiscard]] Result<std::unique_ptr<control::Server>> serve_show(boost::asio::io_context& io,
                                                                  const std::string& run_dir, Engine& engine,
                                                                  const Datastore& datastore,
                                                                  std::function<model::NodeReportSpec()> report);

}  // namespace manul::bgp::io
