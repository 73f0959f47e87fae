from choose import *
from harness import *
from ceiling import S as CE
lg=lambda p:np.log(np.clip(p,.02,.98)/(1-np.clip(p,.02,.98)))
def F(s_,l_): return np.c_[s_,l_,s_*s_,s_*l_,l_*l_,lg(s_),lg(l_)]
s_=np.array([d[3] for d in data])/100; l_=np.array([d[4] for d in data])/100
FX=F(s_,l_); Lall=np.log([len(d[2]) for d in data])
rng=np.random.default_rng(1)
cfs={"surf":("surf",None,0,100,0),"gbm":("gbm",None,0,0,0),"uni":("words",T,3,3,0.05),"bi":("words",B,3,3,0.05)}
from scipy.stats import spearmanr
for frac in (.1,.25,.5,1):
    out={n:[] for n in cfs}; ln=[]
    for test in TIERS:
        others=[k for k in CE if k!=test]
        X=np.concatenate([CE[k][0] for k in others]); Y=np.concatenate([(CE[k][2]-CE[k][2].mean())/CE[k][2].std() for k in others]); W=np.concatenate([np.full(len(CE[k][1]),1/len(CE[k][1])**.5) for k in others])
        mu,sd=X.mean(0),X.std(0)+1e-9; m=Ridge(30).fit((X-mu)/sd,Y,W/W.mean()); c=m.predict((FX-mu)/sd)
        te=[i for i in range(len(data)) if top[i]==test]
        tr=np.array([i for i in range(len(data)) if not clash(test,g[i])]); tr=rng.choice(tr,int(frac*len(tr)),replace=False)
        for n,k in cfs.items():
            C=k[1] or T
            p=fit_predict(k,tr,S[te],[C[i] for i in te],C,c); out[n].append(spearmanr(p,c[te])[0])
        ln.append(spearmanr(Lall[te],c[te])[0])
    print(frac,{n:[round(float(x),2) for x in v]+[round(float(np.mean(v)),3)] for n,v in out.items()},"len",[round(float(x),2) for x in ln],flush=True)
# in distribution: 5 folds over everything
f=rng.integers(0,5,len(data)); c=m.predict((FX-mu)/sd)
for n,k in cfs.items():
    p=np.zeros(len(data)); C=k[1] or T
    for j in range(5):
        tr=np.flatnonzero(f!=j); te=np.flatnonzero(f==j); p[te]=fit_predict(k,tr,S[te],[C[i] for i in te],C,c)
    print("5-fold",n,[round(float(spearmanr(p[[i for i in range(len(data)) if top[i]==t]],c[[i for i in range(len(data)) if top[i]==t]])[0]),2) for t in TIERS])
