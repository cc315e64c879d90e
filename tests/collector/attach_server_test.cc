// SPDX-License-Identifier: Apache-2.0

#include "collector/attach_server.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>

#include "preload/abi/arena_abi.h"

namespace socktale {
namespace {

constexpr char kToken[] = "0123456789abcdef";

class AttachServerTest : public testing::Test {
 protected:
  AttachServerTest()
      : arena_(memfd_create("arena", MFD_CLOEXEC)),
        server_(*AttachServer::Create(kToken, arena_.get(), [this](pid_t pid) { return pid == traced_; })) {}

  UniqueFd Connect() {
    UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path + 1, server_.name().data(), server_.name().size());
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + server_.name().size());
    EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    return fd;
  }

  static bool Ask(int fd, const char* token) {
    abi::AttachRequest request = {.magic = abi::kArenaMagic, .token = {}};
    std::memcpy(request.token, token, sizeof request.token);
    return send(fd, &request, sizeof request, MSG_NOSIGNAL) == sizeof request;
  }

  // The answer's byte, -1 for none; *given is the descriptor that came with it.
  static int Answer(int fd, UniqueFd* given) {
    char answer = -1;
    iovec part = {.iov_base = &answer, .iov_len = 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    if (recvmsg(fd, &message, MSG_CMSG_CLOEXEC) <= 0) return -1;
    if (const cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr) {
      int received;
      std::memcpy(&received, CMSG_DATA(header), sizeof received);
      given->reset(received);
    }
    return answer;
  }

  pid_t traced_ = 0;
  UniqueFd arena_;
  AttachServer server_;
};

TEST_F(AttachServerTest, GivesTheArenaToWhoKnowsTheToken) {
  const UniqueFd peer = Connect();
  ASSERT_TRUE(Ask(peer.get(), kToken));
  EXPECT_EQ(server_.Serve(), 1);
  UniqueFd given;
  EXPECT_EQ(Answer(peer.get(), &given), 1);
  struct stat ours, theirs;
  ASSERT_EQ(fstat(arena_.get(), &ours), 0);
  ASSERT_EQ(fstat(given.get(), &theirs), 0);
  EXPECT_EQ(ours.st_ino, theirs.st_ino);
}

TEST_F(AttachServerTest, RefusesAnotherToken) {
  const UniqueFd peer = Connect();
  ASSERT_TRUE(Ask(peer.get(), "0123456789abcdeF"));
  EXPECT_EQ(server_.Serve(), 0);
  UniqueFd given;
  EXPECT_EQ(Answer(peer.get(), &given), 0);
  EXPECT_FALSE(given.valid());
}

TEST_F(AttachServerTest, WaitsForNobodyAndTakesRequestsInPieces) {
  const UniqueFd silent = Connect(), slow = Connect(), gone = Connect();
  abi::AttachRequest request = {.magic = abi::kArenaMagic, .token = {}};
  std::memcpy(request.token, kToken, sizeof request.token);
  ASSERT_EQ(send(slow.get(), &request, 5, 0), 5);
  ASSERT_EQ(shutdown(gone.get(), SHUT_RDWR), 0);
  EXPECT_EQ(server_.Serve(), 0);
  ASSERT_EQ(send(slow.get(), reinterpret_cast<char*>(&request) + 5, sizeof request - 5, 0),
            static_cast<ssize_t>(sizeof request - 5));
  EXPECT_EQ(server_.Serve(), 1);
  std::vector<pollfd> fds;
  server_.AddPollFds(fds);
  EXPECT_EQ(fds.size(), 2u);  // the listener and the silent one
}

TEST_F(AttachServerTest, RefusesAnotherUserUnlessItDescendsFromATracedProcess) {
  if (getuid() != 0) GTEST_SKIP() << "needs root to become another user";
  for (const bool traced : {false, true}) {
    traced_ = traced ? getpid() : 0;
    const pid_t child = fork();
    if (child == 0) {
      if (setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0) _exit(9);
      const UniqueFd peer = Connect();
      if (!Ask(peer.get(), kToken)) _exit(8);
      UniqueFd given;
      _exit(Answer(peer.get(), &given));
    }
    int status;
    while (waitpid(child, &status, WNOHANG) == 0) server_.Serve();
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), traced ? 1 : 0);
  }
}

}  // namespace
}  // namespace socktale
