"""Files on a local host: paths opened beneath a directory, copies, archives.

beneath     opens paths that never leave a directory    directory   removes and makes directories
task_paths  the paths of copy and read calls            transfer    copies files into the workdir
archive     the workdir as an archive                   page_cache  reads what is cached without a thread
openat2     opens by what the kernel has cached, and on the directory's own file system
file_systems  which file systems answer by themselves
removal     removes any tree                            deadline    calls into a file system that may not answer
"""
