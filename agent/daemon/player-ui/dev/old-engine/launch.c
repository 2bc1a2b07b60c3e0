/* Opens one page in the QtWebEngine of the PyQt5 5.10.1 wheel, which is Chromium 61.
   The wheel's Python modules want a Python that nobody has any more, so its libraries are called directly: by the names
   that the Itanium C++ ABI gives them, a QString returned through a pointer to its room, as that ABI returns classes. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QT_VERSION 0x050a01

static void *library(const char *folder, const char *name) {
  char path[4096];
  void *handle;
  snprintf(path, sizeof path, "%s/%s", folder, name);
  handle = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
  if (!handle) { fprintf(stderr, "%s\n", dlerror()); exit(2); }
  return handle;
}

static void *function(void *handle, const char *name) {
  void *found = dlsym(handle, name);
  if (!found) { fprintf(stderr, "the library has no %s\n", name); exit(2); }
  return found;
}

int main(int argc, char **argv) {
  const char *folder = getenv("QT_LIB"), *qml = getenv("QML_FILE");
  void *core, *gui, *engines, *web;
  /* More than the 16 bytes that each of the objects takes. */
  void *application[16] = {0}, *engine[16] = {0}, *file[4] = {0};
  if (!folder || !qml || argc < 2) { fprintf(stderr, "QT_LIB, QML_FILE and an address are needed\n"); return 2; }
  core = library(folder, "libQt5Core.so.5");
  gui = library(folder, "libQt5Gui.so.5");
  library(folder, "libQt5Network.so.5");
  engines = library(folder, "libQt5Qml.so.5");
  library(folder, "libQt5Quick.so.5");
  library(folder, "libQt5WebChannel.so.5");
  library(folder, "libQt5WebEngineCore.so.5");
  web = library(folder, "libQt5WebEngine.so.5");
  ((void (*)(void *, int *, char **, int))function(gui, "_ZN15QGuiApplicationC1ERiPPci"))(application, &argc, argv, QT_VERSION);
  ((void (*)(void))function(web, "_ZN11QtWebEngine10initializeEv"))();
  ((void (*)(void *, const char *, int))function(core, "_ZN7QString15fromUtf8_helperEPKci"))(file, qml, (int)strlen(qml));
  ((void (*)(void *, void *, void *))function(engines, "_ZN21QQmlApplicationEngineC1ERK7QStringP7QObject"))(engine, file, 0);
  return ((int (*)(void))function(gui, "_ZN15QGuiApplication4execEv"))();
}
