#include "test/cni/fake_ipamd.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <stdexcept>

namespace manul::test {

FakeIpamd::FakeIpamd(const std::string& run_dir, Handler handler)
    : handler_(std::move(handler)), listener_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const std::string path = run_dir + "/cni.sock";
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::ranges::copy(path, std::begin(address.sun_path));
    (void)::unlink(path.c_str());
    if (::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listener_.get(), 64) != 0) {
        throw std::runtime_error("cannot listen on " + path);
    }
    thread_ = std::jthread([this](const std::stop_token& stop) { serve(stop); });
}

FakeIpamd::~FakeIpamd() {
    thread_.request_stop();
    thread_.join();
}

std::vector<ipam::Request> FakeIpamd::requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
}

void FakeIpamd::serve(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
        pollfd waiting{listener_.get(), POLLIN, 0};
        if (::poll(&waiting, 1, 10) == 1) {
            const UniqueFd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
            answer(client.get());
        }
    }
}

void FakeIpamd::answer(int fd) {
    std::array<std::uint8_t, 4> header{};
    if (::recv(fd, header.data(), header.size(), MSG_WAITALL) != 4) {
        return;
    }
    std::string body(std::size_t{header[2]} << 8U | header[3], '\0');
    (void)::recv(fd, body.data(), body.size(), MSG_WAITALL);
    const auto request = ipam::decode_request(body);
    if (!request) {
        return;
    }
    {
        const std::lock_guard lock(mutex_);
        requests_.push_back(*request);
    }
    const auto answered = handler_(*request);
    if (!answered) {
        return;
    }
    const std::string text = ipam::encode(*answered);
    const std::array<char, 4> size{0, 0, static_cast<char>(text.size() >> 8U), static_cast<char>(text.size())};
    (void)::send(fd, size.data(), size.size(), MSG_NOSIGNAL);
    (void)::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
}

}  // namespace manul::test
