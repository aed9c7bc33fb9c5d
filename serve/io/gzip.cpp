#include "serve/io/gzip.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <boost/beast/zlib/deflate_stream.hpp>
#include <boost/crc.hpp>

namespace manul::serve {

namespace zlib = boost::beast::zlib;

namespace {

/// From Kubernetes: below it a connection gains nothing, and level 1 costs a third of the usual one.
constexpr std::size_t kLeast = std::size_t{128} << 10U;
constexpr int kLevel = 1;
constexpr int kWindowBits = 15;
constexpr int kMemoryLevel = 8;

bool takes_gzip(std::string_view header) {
    while (!header.empty()) {
        std::string_view coding = header.substr(0, header.find(','));
        header.remove_prefix(std::min(coding.size() + 1, header.size()));
        coding.remove_prefix(std::min(coding.find_first_not_of(" \t"), coding.size()));
        coding = coding.substr(0, coding.find_last_not_of(" \t") + 1);
        if (coding == "gzip") {  // with a weight it would be one of several: not worth reading
            return true;
        }
    }
    return false;
}

void append_little_endian(std::string& out, std::uint32_t value) {
    for (unsigned shift = 0; shift < 32; shift += 8) {
        out += static_cast<char>(static_cast<unsigned char>(value >> shift));
    }
}

std::optional<std::string> gzipped(std::string_view plain) {
    zlib::deflate_stream stream;
    stream.reset(kLevel, kWindowBits, kMemoryLevel, zlib::Strategy::normal);
    std::string out("\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff", 10);  // deflate, no time, fastest, of no system
    const std::size_t head = out.size();
    out.resize(head + stream.upper_bound(plain.size()));
    zlib::z_params params;
    params.next_in = plain.data();
    params.avail_in = plain.size();
    params.next_out = out.data() + head;
    params.avail_out = out.size() - head;
    boost::beast::error_code failed;
    stream.write(params, zlib::Flush::finish, failed);
    if (failed != zlib::error::end_of_stream) {
        return std::nullopt;
    }
    out.resize(head + params.total_out);
    boost::crc_32_type sum;
    sum.process_bytes(plain.data(), plain.size());
    append_little_endian(out, sum.checksum());
    append_little_endian(out, static_cast<std::uint32_t>(plain.size()));
    return out;
}

}  // namespace

void compress(Response& response, std::string_view accept_encoding) {
    if (response.body.size() < kLeast || !takes_gzip(accept_encoding)) {
        return;
    }
    if (auto body = gzipped(response.body)) {
        response.body = *std::move(body);
        response.headers.emplace_back("Content-Encoding", "gzip");
        response.headers.emplace_back("Vary", "Accept-Encoding");
    }
}

}  // namespace manul::serve
