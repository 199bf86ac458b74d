"""A file system of the test's own, spoken directly over /dev/fuse, that hangs when it is told to: as one does whose server was stopped."""
import ctypes
import errno
import os
import select
import struct
import threading
import time

libc = ctypes.CDLL(None, use_errno=True)
MNT_DETACH = 2
BLOCKS, FREE, BLOCK = 1000, 500, 4096
GETATTR, FORGET, STATFS, INIT, INTERRUPT, DESTROY, BATCH_FORGET = 3, 2, 17, 26, 36, 38, 42


class Fuse:
    def __init__(self, path):
        """Mounts it there; OSError where that is not allowed"""
        self.path, self.hangs, self.ended, self.answered = path, False, False, 0
        self.lock = threading.Lock()
        os.makedirs(path, exist_ok=True)
        self.fd = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        options = "fd=%d,rootmode=40000,user_id=%d,group_id=%d" % (self.fd, os.getuid(), os.getgid())
        if libc.mount(b"kithhang", path.encode(), b"fuse", 0, options.encode()) < 0:
            error = ctypes.get_errno()
            os.close(self.fd)
            raise OSError(error, os.strerror(error), path)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while not self.ended:
            if not select.select([self.fd], [], [], 0.02)[0]:
                continue
            with self.lock:
                # What is not read can still be taken back by the kernel, when who asked is killed
                if self.hangs or self.ended or not self.answer_one():
                    time.sleep(0.01)

    def answer_one(self):
        try:
            request = os.read(self.fd, 1 << 17)
        except OSError as e:
            self.ended = e.errno == errno.ENODEV  # unmounted
            return False
        _, what, unique = struct.unpack_from("=IIQ", request)
        if what in (FORGET, BATCH_FORGET, INTERRUPT):
            return True
        error, body = 0, b""
        if what == INIT:
            body = struct.pack("=IIIIHHIIHHI28x", 7, 31, 0, 0, 0, 0, 4096, 1, 0, 0, 0)
        elif what == STATFS:
            body = struct.pack("=QQQQQIII28x", BLOCKS, FREE, FREE, 100, 50, BLOCK, 255, BLOCK)
            self.answered += 1
        elif what == GETATTR:
            body = struct.pack("=QII", 0, 0, 0) + struct.pack("=6Q10I", 1, 0, 0, 0, 0, 0, 0, 0, 0, 0o40755, 2, 0, 0, 0, BLOCK, 0)
        elif what != DESTROY:
            error = -errno.ENOSYS
        try:
            os.write(self.fd, struct.pack("=IiQ", 16 + len(body), error, unique) + body)
        except OSError:
            return False  # who asked has gone
        return True

    def hang(self):
        with self.lock:
            self.hangs = True

    def answer(self):
        with self.lock:
            self.hangs = False

    def end(self):
        """Whoever waits for an answer gets an error"""
        with self.lock:
            self.ended = True
        self.thread.join()
        os.close(self.fd)
        libc.umount2(self.path.encode(), MNT_DETACH)
