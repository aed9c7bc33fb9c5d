// Boost.Asio compiled once (BOOST_ASIO_SEPARATE_COMPILATION), so that its users pay for declarations only.
#include <boost/asio/impl/src.hpp>
