#pragma once

#include <string>

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "bgpd/io/datastore.hpp"
#include "bgpd/io/engine.hpp"

/// Answers of the control socket about routes (the requests are described in show.hpp). None of them looks at more than
/// a part of the tables: the answer's "cursor", given back in the next request, goes on from there.
namespace manul::bgp::io {

/// The answer to a request that cannot be served.
[[nodiscard]] boost::json::object failure(std::string text);

[[nodiscard]] boost::json::value show_routes(const Engine& engine, const boost::json::object& request);
[[nodiscard]] boost::json::value walk_routes(const Engine& engine, const boost::json::object& request);
[[nodiscard]] boost::json::value count_sent(const Engine& engine, const boost::json::object& request);
[[nodiscard]] boost::json::value explain_prefix(const Engine& engine, const boost::json::object& request);
[[nodiscard]] boost::json::value test_filters(const Engine& engine, const Datastore& datastore,
                                              const boost::json::object& request);

}  // namespace manul::bgp::io
