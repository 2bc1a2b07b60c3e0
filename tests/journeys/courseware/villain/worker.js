self.addEventListener('install', function () { self.skipWaiting(); });
self.addEventListener('fetch', function (event) { event.respondWith(new Response('owned')); });
