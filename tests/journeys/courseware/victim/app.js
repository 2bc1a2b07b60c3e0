// A decent exercise that keeps something for the next time, as exported ones do.
localStorage.setItem('score', 'secret-of-the-other-lesson');
sessionStorage.setItem('score', 'secret-of-the-other-lesson');
document.cookie = 'score=secret-of-the-other-lesson; path=/; max-age=86400';
var asking = indexedDB.open('scores', 1);
asking.onupgradeneeded = function () { asking.result.createObjectStore('kept').put('secret-of-the-other-lesson', 'score'); };
asking.onsuccess = function () {
  caches.open('kept').then(function (cache) { return cache.put('score.txt', new Response('secret-of-the-other-lesson')); }, function () {}).then(function () {
    document.getElementById('kept').textContent = localStorage.getItem('score');
  });
};
